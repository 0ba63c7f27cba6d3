import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { logSoftmax, selectTopK, tensor } from "../../src/divergence/index.ts";
import { computedReference } from "../../src/reference/index.ts";
import { compute, Entropy, type EntropyOptions, JensenShannon } from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { datumOf } from "./datums.ts";
import { DATA, descend, expectDefined, MODEL, REFERENCE, SIZE, TOTAL } from "./rows.ts";

const js = (options = {}) => new JensenShannon({ referenceLogprobs: REFERENCE, ...options });

describe("JensenShannon", () => {
  test.each([0.5, 0.1, 0.9])("is the definition, with the model's share %d", async (beta) => {
    await expectDefined(js({ beta }), (p, q) => oracle.jensenShannon(p, q, beta), {
      metric: "js_divergence",
      prefix: "js",
    });
  });

  test("has a name, which can be one of its own", () => {
    expect(js().name).toBe("jensen_shannon");
    expect(js({ name: "mine" }).name).toBe("mine");
  });

  test("is 0 at the reference, and pulls nowhere", async () => {
    const { loss, gradient } = await compute(js(), DATA, REFERENCE);
    expect(loss).toBe(0);
    for (const { data } of gradient) for (const slope of data) expect(Math.abs(slope)).toBe(0);
  });

  test("never exceeds the entropy of the coin, whatever is impossible where", async () => {
    const outcome = fc.constantFrom(0, 0.5, 1, 4);
    const weights = fc.array(outcome, { minLength: 3, maxLength: 3 }).filter((row) => row.some((x) => x > 0));
    await fc.assert(
      fc.asyncProperty(weights, weights, fc.double({ min: 0.05, max: 0.95, noNaN: true }), async (p, q, beta) => {
        const normal = (row: number[]) => {
          const sum = row.reduce((a, b) => a + b, 0);
          return oracle.logprobs([row.map((x) => x / sum)]);
        };
        const { loss, gradient } = await compute(
          new JensenShannon({ referenceLogprobs: normal(q), beta }),
          [datumOf([1])],
          [normal(p)],
        );
        expect(loss).toBeGreaterThanOrEqual(0);
        expect(loss).toBeLessThanOrEqual(oracle.entropy([beta, 1 - beta]) + 1e-7);
        expect(gradient[0]!.data.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 6);
      }),
      { numRuns: 100 },
    );
  });

  test("takes a top-k reference, and says how much that covers", async () => {
    const known = computedReference(async () => REFERENCE.map((q) => selectTopK(q, 2)));
    const { loss, metrics } = await compute(new JensenShannon({ reference: known }), DATA, MODEL);
    expect(loss).toBeLessThanOrEqual((await compute(js(), DATA, MODEL)).loss);
    expect(metrics.js_coverage).toBeGreaterThan(0.5);
    expect(metrics.js_coverage).toBeLessThan(1);
  });

  test("caps rows, sums them, and says what is wrong", async () => {
    const { loss, metrics } = await compute(js({ clip: 0.01 }), DATA, MODEL);
    expect(loss).toBeCloseTo(0.01 * metrics.js_clipped!, 2);
    const [mean, sum] = [await compute(js(), DATA, MODEL), await compute(js({ reduction: "sum" }), DATA, MODEL)];
    expect(sum.loss).toBeCloseTo(TOTAL * mean.loss, 6);
    expect(() => js({ beta: 2 })).toThrow("beta is 2, expected a number above 0 and below 1");
    expect(() => js({ clip: -1 })).toThrow("Jensen–Shannon divergence: clip is -1");
    expect(() => new JensenShannon({})).toThrow("no reference distribution is given");
    await expect(compute(js(), DATA, [MODEL[1]!, MODEL[0]!])).rejects.toThrow(
      "shape mismatch in Jensen–Shannon divergence, datum 0 (train.jsonl:1)",
    );
    const broken = logSoftmax(tensor([0, Number.NaN, 0, 0], [1, SIZE]));
    await expect(
      compute(
        new JensenShannon({ referenceLogprobs: logSoftmax(tensor([0, 0, 0, 0], [1, SIZE])) }),
        [datumOf([1])],
        [broken],
      ),
    ).rejects.toThrow(
      "the log-probabilities of the model hold NaN at datum 0, position 0 (after token 0 of the input), token 0",
    );
  });
});

describe("Entropy", () => {
  const tempered = (p: readonly number[], temperature: number) =>
    oracle.softmax(p.map((x) => Math.log(x) / temperature));

  test.each<[EntropyOptions, number]>([
    [{}, -1],
    [{ mode: "penalty" }, 1],
    [{ mode: "bonus", temperature: 2.5 }, -1],
    [{ mode: "penalty", temperature: 0.5 }, 1],
  ])("%j is the definition", async (options, sign) => {
    const { temperature = 1 } = options;
    await expectDefined(new Entropy(options), (p) => oracle.entropy(tempered(p, temperature)), {
      metric: "entropy",
      sign,
    });
  });

  test("a bonus is at its minimum where all is equally likely, a penalty where one outcome is certain", async () => {
    const even = [3, 2].map((rows) => logSoftmax(tensor(new Float32Array(rows * SIZE), [rows, SIZE])));
    const bonus = await compute(new Entropy(), DATA, even);
    expect(bonus.loss).toBeCloseTo(-Math.log(SIZE), 6);
    const certain = [3, 2].map((rows) => oracle.logprobs(Array.from({ length: rows }, () => [1, 0, 0, 0])));
    const penalty = await compute(new Entropy({ mode: "penalty" }), DATA, certain);
    expect(penalty.loss).toBe(0);
    for (const { gradient } of [bonus, penalty])
      for (const { data } of gradient) for (const slope of data) expect(slope).toBeCloseTo(0, 6);
  });

  test("descending a bonus widens, descending a penalty narrows, the rows that count", async () => {
    const [wide, narrow] = [
      await descend(new Entropy(), 300, 4),
      await descend(new Entropy({ mode: "penalty" }), 300, 4),
    ];
    expect(wide.loss).toBeCloseTo(-Math.log(SIZE), 2);
    expect(narrow.loss).toBeLessThan(0.1);
    // The first row has weight 0 and stays where it was.
    const first = MODEL[0]!.data.subarray(0, SIZE);
    for (const [v, x] of wide.logprobs[0]!.data.subarray(0, SIZE).entries()) expect(x).toBeCloseTo(first[v]!, 5);
  });

  test("a sum is the mean times the weights, metrics are those of the mean", async () => {
    const [mean, sum] = [new Entropy(), new Entropy({ reduction: "sum" })].map((each) => compute(each, DATA, MODEL));
    expect((await sum!).loss).toBeCloseTo(TOTAL * (await mean!).loss, 6);
    expect((await sum!).metrics).toEqual((await mean!).metrics);
  });

  test("what is wrong is said", async () => {
    expect(() => new Entropy({ temperature: 0 })).toThrow(
      "entropy: temperature is 0, expected a finite number above 0",
    );
    expect(() => new Entropy({ mode: "up" as "bonus" })).toThrow(
      'the mode of an entropy regularizer is "up", expected bonus or penalty',
    );
    await expect(compute(new Entropy(), DATA, [tensor([0, 0, 0], [3]), MODEL[1]!])).rejects.toThrow(
      "entropy needs the distribution over the whole vocabulary, [n, V] for each span, and was given log-probabilities of targets: use an embedded engine",
    );
    await expect(compute(new Entropy(), [datumOf([1])], [tensor([0, 0], [1, 2])])).rejects.toThrow(
      "the model's log-probabilities, datum 0, position 0: the probabilities sum to 2",
    );
    await expect(compute(new Entropy(), [datumOf([1])], [tensor([0, Number.NaN], [1, 2])])).rejects.toThrow(
      "the log-probabilities of the model hold NaN at datum 0, position 0 (after token 0 of the input), token 1",
    );
  });
});

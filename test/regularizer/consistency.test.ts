import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import { type Datum, rowCount } from "../../src/data/datum.ts";
import { logSoftmax, type Tensor } from "../../src/divergence/index.ts";
import {
  Consistency,
  type ConsistencyOptions,
  compute,
  tokenDropout,
  tokenReplacement,
} from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { inParts, positionByPosition, shuffledParts } from "../loss/in-parts.ts";
import { datumOf } from "./datums.ts";
import { DATA, expectDefined, MODEL, REFERENCE, SIZE } from "./rows.ts";

/** A model that looks at all it has read: what it gives a row depends on every token up to the row's position. */
const model = {
  looks: 0,
  distributions: async (data: readonly Datum[]): Promise<Tensor[]> => {
    model.looks++;
    return data.map(({ modelInput, lossInputs: { positions, target_tokens } }) => {
      const rows = Array.from(target_tokens.data, (_, row) => {
        const read = modelInput.subarray(0, (positions?.data[row] ?? row) + 1);
        const state = read.reduce((state, token) => (state * 31 + token) % 1009, 7);
        return Array.from({ length: SIZE }, (_, v) => 2 * Math.sin(state + 2.3 * v));
      });
      return logSoftmax(oracle.matrix(rows));
    });
  },
};

const text = (tokens: readonly number[], weights: readonly number[] = tokens.map(() => 1)): Datum => ({
  ...datumOf(weights),
  modelInput: Int32Array.from(tokens),
});
const consistency = (options: Partial<ConsistencyOptions> = {}) =>
  new Consistency({ model, view: tokenReplacement({ rate: 0.4 }), ...options });

describe("Consistency", () => {
  const fixed = { model: { distributions: async () => REFERENCE }, view: (datum: Datum) => datum };

  test.each([
    ["KL(view‖model), the default", {}, (p: number[], q: number[]) => oracle.kl(q, p)],
    ["KL(model‖view)", { direction: "model||view" }, oracle.kl],
    ["Jensen–Shannon", { symmetric: true }, oracle.jensenShannon],
  ] as const)(
    "%s: the distributions of the view are the target, and get no gradient",
    async (_, options, definition) => {
      await expectDefined(new Consistency({ ...fixed, ...options }), definition, { metric: "consistency" });
    },
  );

  test("a view that changes nothing costs nothing and pulls nowhere", async () => {
    const data = [text([1, 2, 3, 0, 2]), text([3, 1])];
    const logprobs = await model.distributions(data);
    for (const view of [(datum: Datum) => datum, tokenReplacement({ rate: 0 }), tokenDropout({ rate: 0 })]) {
      const { loss, gradient } = await compute(consistency({ view }), data, logprobs);
      expect(loss).toBe(0);
      for (const { data: slopes } of gradient) for (const slope of slopes) expect(Math.abs(slope)).toBe(0);
    }
  });

  test("views differ from step to step and by seed, and are the same for the same", async () => {
    const data = [text([1, 2, 3, 0, 2, 3, 1, 0, 2, 1])];
    const logprobs = await model.distributions(data);
    const loss = async (step: number, seed = 1) =>
      (await compute(consistency({ seed }), data, logprobs, { number: step })).loss;
    expect(await loss(1)).toBe(await loss(1));
    expect(new Set([await loss(1), await loss(2), await loss(3), await loss(1, 2)]).size).toBe(4);
    expect((await compute(consistency(), data, logprobs)).loss).toBe(await loss(1));
  });

  test("one look at the model for all data, and none of it is remembered", async () => {
    const data = [text([1, 2, 3]), text([3, 1])];
    const logprobs = await model.distributions(data);
    const before = model.looks;
    const regularizer = consistency();
    await compute(regularizer, data, logprobs);
    await compute(regularizer, data, logprobs);
    expect(model.looks - before).toBe(2);
  });

  test("neither company, padding nor the parts of a batch change a view", async () => {
    const tokens = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 8 });
    const texts = fc.array(tokens, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(texts, fc.boolean(), fc.integer({ min: 1, max: 99 }), async (all, drop, number) => {
        const view = drop ? tokenDropout({ rate: 0.4 }) : tokenReplacement({ rate: 0.4 });
        const regularizer = consistency({ view });
        const random = createRandom(number);
        const data = all.map((each) =>
          text(
            each,
            each.map(() => (random() < 0.3 ? 0 : 1)),
          ),
        );
        const logprobs = await model.distributions(data);
        const whole = await compute(regularizer, data, logprobs, { number });
        const { loss, gradient } = await inParts(regularizer, data, logprobs, shuffledParts(data, number), {
          step: { number },
        });
        const slopes = gradient.flatMap(({ data }) => [...data]);
        expect(loss).toBeCloseTo(whole.loss, 6);
        for (const [k, slope] of whole.gradient.flatMap(({ data }) => [...data]).entries())
          expect(slopes[k]).toBeCloseTo(slope, 6);
      }),
      { numRuns: 60 },
    );
  });

  test("positions that a view takes the meaning from count nowhere, also not in the mean", async () => {
    const blind = (datum: Datum): Datum => ({
      ...datum,
      lossInputs: {
        ...datum.lossInputs,
        weights: { data: new Float32Array(rowCount(datum)), shape: [rowCount(datum)] },
      },
    });
    const { loss } = await compute(new Consistency({ ...fixed, view: blind }), DATA, MODEL);
    expect(loss).toBe(0);
    const first = (datum: Datum): Datum => (datum.source === DATA[0]!.source ? blind(datum) : datum);
    const known = {
      distributions: async (data: readonly Datum[]) =>
        data.map(({ source }) => REFERENCE[DATA.findIndex((datum) => datum.source === source)]!),
    };
    const one = await compute(new Consistency({ model: known, view: first }), DATA, MODEL);
    const alone = await compute(new Consistency({ model: known, view: first }), [DATA[1]!], [MODEL[1]!]);
    expect(one.loss).toBeCloseTo(alone.loss, 6);
    expect(one.gradient[1]).toEqual(alone.gradient[0]);
    expect(one.gradient[0]!.data.every((slope) => slope === 0)).toBe(true);
  });

  test("of two positions of which the view voids one, the mean is the other's value, not half of it", async () => {
    const data = [{ ...text([1, 2]), source: "train.jsonl:1" }];
    const logprobs = [
      oracle.logprobs([
        [0.5, 0.5],
        [0.9, 0.1],
      ]),
    ];
    const seen = [
      oracle.logprobs([
        [0.2, 0.8],
        [0.3, 0.7],
      ]),
    ];
    const firstOnly = (datum: Datum): Datum => ({
      ...datum,
      lossInputs: { ...datum.lossInputs, weights: { data: Float32Array.of(1, 0), shape: [2] } },
    });
    const half = new Consistency({ model: { distributions: async () => seen }, view: firstOnly });
    const value = oracle.kl([0.2, 0.8], [0.5, 0.5]);
    const { loss, metrics, gradient } = await compute(half, data, logprobs);
    expect(loss).toBeCloseTo(value, 6);
    for (const name of ["consistency", "consistency_max", "consistency_min", "consistency_median"])
      expect(metrics[name], name).toBeCloseTo(value, 6);
    // p − q where the position counts, in full.
    for (const [i, slope] of [0.3, -0.3, 0, 0].entries()) expect(gradient[0]!.data[i]).toBeCloseTo(slope, 6);
    expect((await inParts(half, data, logprobs, positionByPosition(data))).loss).toBeCloseTo(value, 6);
  });

  test("what is wrong is said", async () => {
    expect(() => consistency({ direction: "back" as "forward" })).toThrow(
      'consistency: direction is "back", expected "model||view" (alias "forward") or "view||model" (alias "reverse")',
    );
    const shorter = (datum: Datum) => datumOf([1], { source: datum.source! });
    await expect(compute(new Consistency({ ...fixed, view: shorter }), DATA, MODEL)).rejects.toThrow(
      "the view of train.jsonl:1 must keep the datum's 3 target positions, found 1",
    );
    const failing = { distributions: () => Promise.reject(new Error("the model is gone")) };
    await expect(compute(consistency({ model: failing }), DATA, MODEL)).rejects.toThrow("the model is gone");
  });
});

describe.each([
  ["tokenReplacement", tokenReplacement],
  ["tokenDropout", tokenDropout],
] as const)("%s", (name, make) => {
  const long = text(Array.from({ length: 4000 }, (_, i) => i));

  test("changes about its share of the tokens, and never the first", () => {
    const view = make({ rate: 0.2 })(long, createRandom(1));
    const { modelInput, lossInputs } = view;
    expect(modelInput[0]).toBe(0);
    // Each token tells where it stood.
    const kept = [...modelInput].filter((token, i) => (name === "tokenDropout" ? true : token === i)).length;
    expect(kept / 4000).toBeGreaterThan(0.77);
    expect(kept / 4000).toBeLessThan(0.83);
    const counting = [...lossInputs.weights.data].filter((weight) => weight > 0).length;
    expect(Math.abs(counting - kept)).toBeLessThan(3);
    expect(long.modelInput).toHaveLength(4000);
    expect(long.lossInputs.weights.data.every((weight) => weight === 1)).toBe(true);
  });

  test("every position that counts has last read the token that it read before", () => {
    const { modelInput, lossInputs } = make({ rate: 0.3 })(long, createRandom(2));
    for (const [row, weight] of lossInputs.weights.data.entries()) {
      if (weight > 0) expect(modelInput[lossInputs.positions?.data[row] ?? row]).toBe(row);
    }
    expect(lossInputs.target_tokens).toBe(long.lossInputs.target_tokens);
  });

  test("minds the positions of a datum that has fewer rows than tokens", () => {
    const positions = { data: Int32Array.of(10, 20, 3999), shape: [3] };
    const datum: Datum = {
      modelInput: long.modelInput,
      lossInputs: { ...datumOf([1, 0, 1]).lossInputs, positions },
    };
    for (let seed = 0; seed < 20; seed++) {
      const view = make({ rate: 0.3 })(datum, createRandom(seed));
      const at = view.lossInputs.positions!.data;
      for (const [row, weight] of view.lossInputs.weights.data.entries()) {
        expect(at[row]).toBeLessThan(view.modelInput.length);
        if (weight > 0) expect(view.modelInput[at[row]!]).toBe(positions.data[row]);
      }
      expect(view.lossInputs.weights.data[1]).toBe(0);
    }
  });

  test("a rate that is none is refused", () => {
    for (const rate of [-0.1, 1, Number.NaN]) {
      expect(() => make({ rate })).toThrow(
        `the rate of changed tokens is ${rate}, expected a number from 0 to below 1`,
      );
    }
  });
});

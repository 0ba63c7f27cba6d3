import { spawnSync } from "node:child_process";
import { numpy as np } from "@jax-js/jax";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { logSoftmax, selectTopK, tensor } from "../../src/divergence/index.ts";
import { computedReference } from "../../src/reference/index.ts";
import {
  compose,
  compute,
  differentiable,
  KLDivergence,
  type Position,
  perPosition,
  type Regularizer,
} from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { inParts, shuffledParts } from "../loss/in-parts.ts";
import { datumOf } from "./datums.ts";
import { DATA, type Definition, descend, expectDefined, MODEL, REFERENCE, SIZE, TOTAL } from "./rows.ts";

/** Σ (log p − log q)² / V. */
const squares: Definition = (p, q) => p.reduce((sum, x, i) => sum + Math.log(x / q[i]!) ** 2, 0) / p.length;
const sumOfSquares = (p: readonly number[]) => p.reduce((sum, x) => sum + x * x, 0);

const closedForm = (options = {}) =>
  perPosition({
    name: "squares",
    referenceLogprobs: REFERENCE,
    measure: ({ logP, logQ }) => ({
      value: logP.reduce((sum, x, i) => sum + (x - logQ[i]!) ** 2, 0) / logP.length,
      gradient: logP.map((x, i) => (2 * (x - logQ[i]!)) / logP.length),
    }),
    ...options,
  });
const throughJax = (options = {}) =>
  differentiable({
    name: "squares",
    referenceLogprobs: REFERENCE,
    fn: (logprobs: np.Array, reference: np.Array) => np.square(logprobs.sub(reference)).mean(-1),
    ...options,
  });

const BOTH: [string, (options?: object) => Regularizer, number][] = [
  ["a closed form", closedForm, 5],
  ["a differentiable function", throughJax, 4],
];

describe.each(BOTH)("%s", (_, make, digits) => {
  test("is its definition, and its gradient that with respect to the logits", async () => {
    await expectDefined(make(), squares, { metric: "squares", digits });
  });

  test("is 0 at the reference, pulls nowhere there, and leads to it", async () => {
    const { loss, gradient } = await compute(make(), DATA, REFERENCE);
    expect(loss).toBeCloseTo(0, 10);
    for (const { data } of gradient) for (const slope of data) expect(slope).toBeCloseTo(0, 6);
    expect((await descend(make(), 60, 4)).loss).toBeLessThan(1e-3);
  });

  test("sums as well as means", async () => {
    const [mean, sum] = [await compute(make(), DATA, MODEL), await compute(make({ reduction: "sum" }), DATA, MODEL)];
    expect(sum.loss).toBeCloseTo(TOTAL * mean.loss, 5);
    expect(sum.metrics).toEqual(mean.metrics);
    expect(() => make({ reduction: "none" })).toThrow(
      'the reduction of the regularizer "squares" is "none", expected mean or sum',
    );
  });

  test("positions that do not count, whatever they hold, and parts of a batch change nothing", async () => {
    const row = fc.record({
      weight: fc.constantFrom(0, 0.5, 1, 2),
      p: fc.array(fc.integer({ min: -2, max: 2 }), { minLength: SIZE, maxLength: SIZE }),
      q: fc.array(fc.integer({ min: -2, max: 2 }), { minLength: SIZE, maxLength: SIZE }),
    });
    const rows = fc.array(fc.array(row, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, fc.nat(), async (batch, seed) => {
        const built = batch.map((rows) => {
          const side = (side: "p" | "q") => logSoftmax(oracle.matrix(rows.map((row) => row[side])));
          const [p, q] = [side("p"), side("q")];
          for (const [r, { weight }] of rows.entries()) {
            if (weight === 0) for (const each of [p, q]) each.data.fill(Number.NaN, r * SIZE, (r + 1) * SIZE);
          }
          const weights = rows.map(({ weight }) => weight);
          return { datum: datumOf(weights, { fields: { base: q } }), p };
        });
        const regularizer = make({ referenceLogprobs: undefined, referenceField: "base" });
        const data = built.map(({ datum }) => datum);
        const logprobs = built.map(({ p }) => p);
        const whole = await compute(regularizer, data, logprobs);
        const { loss, gradient } = await inParts(regularizer, data, logprobs, shuffledParts(data, seed));
        for (const [i, { data: slopes }] of gradient.entries())
          for (const [k, slope] of slopes.entries()) expect(slope).toBeCloseTo(whole.gradient[i]!.data[k]!, 5);
        expect(loss).toBeCloseTo(whole.loss, 5);
        for (const [i, list] of batch.entries()) {
          for (const [r, { weight }] of list.entries()) {
            const slopes = whole.gradient[i]!.data.subarray(r * SIZE, (r + 1) * SIZE);
            if (weight === 0) expect([...slopes]).toEqual([0, 0, 0, 0]);
            expect(slopes.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 5);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test("composes with others", async () => {
    const kl = new KLDivergence({ referenceLogprobs: REFERENCE });
    const both = compose([
      { regularizer: make(), weight: 0.5 },
      { regularizer: kl, weight: 2 },
    ]);
    const [one, other] = [await compute(make(), DATA, MODEL), await compute(kl, DATA, MODEL)];
    const { loss, gradient, metrics } = await compute(both, DATA, MODEL);
    expect(loss).toBeCloseTo(0.5 * one.loss + 2 * other.loss, 5);
    expect(metrics["squares/squares"]).toBe(one.metrics.squares);
    for (const [d, { data }] of gradient.entries())
      for (const [i, slope] of data.entries())
        expect(slope).toBeCloseTo(0.5 * one.gradient[d]!.data[i]! + 2 * other.gradient[d]!.data[i]!, 5);
  });

  test("what is wrong is said", async () => {
    expect(() => make({ referenceField: "base" })).toThrow(
      "referenceLogprobs and referenceField are set, expected one reference",
    );
    await expect(compute(make(), DATA, [MODEL[1]!, MODEL[0]!])).rejects.toThrow(
      "shape mismatch in squares, datum 0 (train.jsonl:1): model log-probabilities [2, 4]",
    );
    const known = computedReference(async () => REFERENCE.map((q) => selectTopK(q, 2)));
    await expect(compute(make({ referenceLogprobs: undefined, reference: known }), DATA, MODEL)).rejects.toThrow(
      "the reference of datum 0 (train.jsonl:1) knows its most probable tokens only, expected the whole vocabulary: give one that does, such as the base",
    );
    const impossible = oracle.logprobs([[0.5, 0.5, 0, 0]]);
    const even = oracle.logprobs([[0.25, 0.25, 0.25, 0.25]]);
    const [datum] = [datumOf([1], { source: "train.jsonl:9" })];
    await expect(compute(make({ referenceLogprobs: impossible }), [datum], [even])).rejects.toThrow(
      "squares is not a finite number at datum 0 (train.jsonl:9), position 0 (after token 0 of the input)",
    );
    const unnormalized = tensor([0, 0, 0, 0], [1, 4]);
    await expect(compute(make({ referenceLogprobs: even }), [datum], [unnormalized])).rejects.toThrow(
      "the model's log-probabilities, datum 0 (train.jsonl:9), position 0: the probabilities sum to 4, expected 1",
    );
    await expect(compute(make({ referenceLogprobs: unnormalized }), [datum], [even])).rejects.toThrow(
      "the reference (referenceLogprobs), datum 0 (train.jsonl:9), position 0: the probabilities sum to 4, expected 1",
    );
  });
});

describe("perPosition", () => {
  test("needs no reference", async () => {
    const seen: number[] = [];
    const own = perPosition({
      name: "agreement",
      measure: ({ p, q, logQ, datum, position }) => {
        expect([q.length, logQ.length]).toEqual([0, 0]);
        seen.push(10 * DATA.indexOf(datum) + position);
        return { value: sumOfSquares([...p]), gradient: p.map((x) => x * 2 * x) };
      },
    });
    await expectDefined(own, sumOfSquares, { metric: "agreement" });
    // Only rows that count are asked about.
    expect(seen).toEqual([1, 2, 10]);
  });

  test("a gradient with respect to logits passes unchanged", async () => {
    const kl = perPosition({
      name: "kl",
      referenceLogprobs: REFERENCE,
      measure: ({ p, logP, logQ }: Position) => {
        const value = p.reduce((sum, x, i) => sum + x * (logP[i]! - logQ[i]!), 0);
        return { value, gradient: p.map((x, i) => x * (logP[i]! - logQ[i]! - value)) };
      },
    });
    await expectDefined(kl, oracle.kl, { metric: "kl" });
  });

  test.each([
    [[1, 2], "datum 0: the gradient at position 0 holds 2 numbers, expected 4, one per token"],
    [[1, 2, Number.NaN, 0], "datum 0: the gradient at position 0 is not finite, though its value is 1"],
  ])("a gradient of %j is refused", async (gradient, message) => {
    const own = perPosition({ name: "own", measure: () => ({ value: 1, gradient }) });
    const row = oracle.logprobs([[0.25, 0.25, 0.25, 0.25]]);
    await expect(compute(own, [datumOf([1])], [row])).rejects.toThrow(message);
  });

  test("an error of the formula's own comes through, named by a composition", async () => {
    const own = perPosition({
      name: "own",
      measure: () => {
        throw new TypeError("no such table");
      },
    });
    await expect(compute(compose([{ regularizer: own, weight: 1 }]), DATA, MODEL)).rejects.toThrow(
      'regularizer "own": no such table',
    );
  });
});

describe("differentiable", () => {
  test("needs no reference", async () => {
    const own = differentiable({
      name: "agreement",
      fn: (logprobs: np.Array) => np.exp(logprobs.mul(2)).sum(-1),
    });
    await expectDefined(own, sumOfSquares, { metric: "agreement", digits: 4 });
  });

  test("a batch in which no row counts is 0, and asks nothing", async () => {
    let calls = 0;
    const own = differentiable({
      name: "own",
      fn: (logprobs: np.Array) => {
        calls++;
        return logprobs.sum(-1);
      },
    });
    const { loss, gradient } = await compute(own, [datumOf([0, 0])], [tensor(new Float32Array(8), [2, 4])]);
    expect(loss).toBe(0);
    expect([...gradient[0]!.data]).toEqual(new Array(8).fill(0));
    expect(calls).toBe(0);
  });

  test("a value for the batch instead of one per row is refused", async () => {
    const own = differentiable({ name: "own", fn: (logprobs: np.Array) => logprobs.sum() });
    await expect(compute(compose([{ regularizer: own, weight: 1 }]), DATA, MODEL)).rejects.toThrow(
      'regularizer "own": its function returned the shape [] for [32, 4] log-probabilities, expected [32]: one value per row, as in .sum(-1)',
    );
  });

  test("a slope that is not finite is refused", async () => {
    const own = differentiable({
      name: "own",
      fn: (logprobs: np.Array) => np.sqrt(np.maximum(logprobs.ref.sub(logprobs), 0)).sum(-1),
    });
    await expect(compute(own, DATA, MODEL)).rejects.toThrow(
      "datum 0 (train.jsonl:1): the gradient at position 1 is not finite, though its value is 0",
    );
  });

  test("without jax-js an error says what to install", () => {
    const hook = `export const resolve = (name, context, next) => {
      if (name.startsWith("@jax-js/")) throw Object.assign(new Error("not found"), { code: "ERR_MODULE_NOT_FOUND" });
      return next(name, context);
    };`;
    const script = `
      import { register } from "node:module";
      register("data:text/javascript," + encodeURIComponent(${JSON.stringify(hook)}));
      const { compute, differentiable, tensor } = await import(${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)});
      const own = differentiable({ name: "own", fn: (x) => x.sum(-1) });
      const shape = [1];
      const datum = {
        modelInput: Int32Array.of(1),
        lossInputs: { target_tokens: { data: Int32Array.of(1), shape }, weights: { data: Float32Array.of(1), shape } },
      };
      await compute(own, [datum], [tensor([0, -Infinity], [1, 2])]).catch((error) => console.log(error.name, error.message));
    `;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "--eval", script],
      { encoding: "utf8", cwd: new URL("../..", import.meta.url) },
    );
    expect(stderr).toBe("");
    expect(stdout).toBe(
      "UserError a differentiable regularizer needs the package @jax-js/jax, which cannot be loaded: npm install @jax-js/jax\n",
    );
  });
});

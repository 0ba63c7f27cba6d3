import { describe, expect, expectTypeOf, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import {
  drawSparseSample,
  klDivergence,
  logSoftmax,
  type SparseSample,
  selectTopK,
  sparseKL,
  sparseSample,
  type Tensor,
  type TopK,
} from "../../src/divergence/index.ts";
import * as oracle from "./oracle.ts";

const { logprobs, matrix } = oracle;

/** One row: the tokens of `draws` with their counts, and their log-probabilities in q. */
function sampleOf(draws: readonly number[], q: oracle.Distribution): SparseSample {
  const tokens = [...new Set(draws)];
  return sparseSample({
    tokens: Int32Array.from(tokens),
    counts: Int32Array.from(tokens, (token) => draws.filter((draw) => draw === token).length),
    logprobs: Float32Array.from(tokens, (token) => Math.log(q[token]!)),
    offsets: Int32Array.of(0, tokens.length),
  });
}

/** Every way to draw n of v tokens. */
function everySample(v: number, n: number): number[][] {
  if (n === 0) return [[]];
  return everySample(v, n - 1).flatMap((draws) => Array.from({ length: v }, (_, token) => [...draws, token]));
}

describe("over every possible sample", () => {
  const q = [0.5, 0.3, 0.15, 0.05];
  const p = [0.2, 0.1, 0.3, 0.4];

  test.each([1, 2, 4])("of %d draws, the expected value and gradient are the whole vocabulary's", (n) => {
    let value = 0;
    let lowest = Number.POSITIVE_INFINITY;
    const gradient = [0, 0, 0, 0];
    for (const draws of everySample(4, n)) {
      const probability = draws.reduce((all, token) => all * q[token]!, 1);
      const found = sparseKL.withGradient(logprobs([p]), sampleOf(draws, q));
      value += probability * found.value;
      lowest = Math.min(lowest, found.value);
      found.gradient.data.forEach((g, i) => {
        gradient[i]! += probability * g;
      });
    }
    const whole = klDivergence.withGradient(logprobs([p]), logprobs([q]), { direction: "q||p" });
    expect(value).toBeCloseTo(whole.value, 6);
    for (const [i, g] of gradient.entries()) expect(g).toBeCloseTo(whole.gradient.data[i]!, 6);
    expect(lowest).toBeLessThan(0);
  });
});

describe.each(["logits", "logprobs"] as const)("from %s", (input) => {
  test("the gradient is the finite difference of Σ q̂·(log q − log p), weighted; masked rows are not read", () => {
    const random = createRandom(5);
    const rows = () => Array.from({ length: 3 }, () => Array.from({ length: 5 }, () => 4 * (random() - 0.5)));
    const [z, q] = [matrix(rows()), rows().map(oracle.softmax)];
    const p = input === "logits" ? z : logSoftmax(z);
    const draws = [[0, 3, 3], [1], [2, 4, 2, 0]];
    const parts = draws.map((draws, r) => sampleOf(draws, q[r]!));
    const packed = sparseSample({
      tokens: Int32Array.from(parts.flatMap(({ tokens }) => [...tokens])),
      counts: Int32Array.from(parts.flatMap(({ counts }) => [...counts])),
      logprobs: Float32Array.from(parts.flatMap(({ logprobs }) => [...logprobs])),
      offsets: Int32Array.of(0, 2, 3, 6),
    });
    const weights = [0.5, 0, 2];
    const found = sparseKL.withGradient(p, packed, { input, weights });
    let total = 0;
    for (const [r, weight] of weights.entries()) {
      const value = (z: readonly number[]) => {
        const p = oracle.softmax(z);
        return draws[r]!.reduce((sum, token) => sum + Math.log(q[r]![token]! / p[token]!), 0) / draws[r]!.length;
      };
      const row = [...p.data.subarray(r * 5, r * 5 + 5)];
      total += (weight * value(row)) / 2.5;
      expect(found.perRow.data[r]).toBeCloseTo(weight === 0 ? 0 : value(row), 5);
      for (const [i, wanted] of oracle.numericalGradient(value, row).entries())
        expect(found.gradient.data[r * 5 + i]).toBeCloseTo((weight * wanted) / 2.5, 6);
    }
    expect(found.value).toBeCloseTo(total, 6);
    expect(sparseKL(p, packed, { input, weights })).toBe(found.value);
    const none = sparseKL(p, packed, { input, reduction: "none" }) satisfies Tensor;
    expect(none.shape).toEqual([3]);
  });
});

test("drawn samples have the reference's frequencies, its log-probabilities, and the number of draws asked for", () => {
  const q = logprobs([
    [0.5, 0.3, 0.2, 0],
    [0, 0, 1, 0],
  ]);
  const draws = 20_000;
  const { tokens, counts, logprobs: logs, offsets } = drawSparseSample(q, draws, createRandom(11));
  expect([...offsets.subarray(1)]).toEqual([3, 4]);
  expect(tokens[3]).toBe(2);
  expect(counts[3]).toBe(draws);
  for (const [i, token] of tokens.subarray(0, 3).entries()) {
    const probability = Math.exp(q.data[token]!);
    // Four standard errors; the seed is fixed.
    expect(Math.abs(counts[i]! / draws - probability)).toBeLessThan(
      4 * Math.sqrt((probability * (1 - probability)) / draws),
    );
    expect(logs[i]).toBeCloseTo(Math.log(probability), 6);
  }
  expect(drawSparseSample(q, 5, createRandom(1))).toEqual(drawSparseSample(q, 5, createRandom(1)));
  expect(drawSparseSample(q, 1, () => 0).tokens[1]).toBe(2);
  expect(drawSparseSample(q, 1, () => 1 - 2 ** -32).tokens[0]).toBe(2);
});

test("a model that rules out what the reference says is +∞; NaN in is NaN out", () => {
  const sample = sampleOf([0, 1], [0.5, 0.5]);
  expect(sparseKL(logprobs([[1, 0]]), sample)).toBe(Number.POSITIVE_INFINITY);
  const found = sparseKL.withGradient(matrix([[Number.NaN, 0]]), sample, { input: "logits" });
  expect(found.value).toBeNaN();
  for (const g of found.gradient.data) expect(g).toBeNaN();
});

describe("what means nothing is refused in one sentence", () => {
  const p = logprobs([[0.5, 0.5]]);
  const good = {
    tokens: Int32Array.of(0, 1),
    counts: Int32Array.of(1, 2),
    logprobs: Float32Array.of(-1, -1),
    offsets: Int32Array.of(0, 2),
  };
  test.each([
    [() => sparseSample({ ...good, counts: Int32Array.of(1) }), "found 2 tokens, 1 counts and 2 logprobs"],
    [() => sparseSample({ ...good, offsets: Int32Array.of(0, 1) }), "the offsets run from 0 to 1, expected 0 to 2"],
    [() => sparseSample({ ...good, offsets: Int32Array.of(0, 2, 2) }), "row 1 has no draws"],
    [() => sparseSample({ ...good, counts: Int32Array.of(1, 0) }), "token 1 has count 0"],
    [
      () => sparseSample({ ...good, logprobs: Float32Array.of(-1, Number.NEGATIVE_INFINITY) }),
      "token 1 was drawn though",
    ],
    [
      () => sparseKL(p, sparseSample({ ...good, offsets: Int32Array.of(0, 1, 2) })),
      "found a sample of 2 rows for p [1, 2]",
    ],
    [() => sparseKL(p, sparseSample({ ...good, tokens: Int32Array.of(0, 2) })), "row 0 of the sample has token 2"],
    [() => sparseKL(p, sparseSample({ ...good, tokens: Int32Array.of(-1, 0) })), "has token -1, expected 0 to 1"],
    [
      () => sparseKL(p, sparseSample(good), { temperature: 2 } as object),
      "temperature is 2, but a sample cannot be softened",
    ],
    [() => drawSparseSample(p, 0, Math.random), "draws is 0"],
    [() => drawSparseSample(matrix([[Number.NaN, 0]]), 1, Math.random), "row 0 of q is no distribution"],
  ])("%#", (act, message) => {
    expect(act).toThrow(RangeError);
    expect(act).toThrow(message);
  });

  test("a sparse sample where a whole reference or a top-k belongs", () => {
    const compare = klDivergence as (p: unknown, q: unknown) => number;
    expect(() => compare(p, sparseSample(good))).toThrow(TypeError);
    expect(() => compare(p, sparseSample(good))).toThrow("a sparse sample sparseKL");
    expect(() => compare(sparseSample(good), selectTopK(p, 1))).toThrow("p is not a tensor over the whole vocabulary");
    expectTypeOf<SparseSample>().not.toExtend<Tensor | TopK>();
    expectTypeOf<TopK>().not.toExtend<SparseSample>();
  });
});

import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { klDivergence } from "../../src/divergence/kl-divergence.ts";
import { type TopK, topK } from "../../src/divergence/supports/top-k.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { type InputFormat, rowNormalizer } from "../../src/reference/normalize-rows.ts";
import { logprobs } from "../divergence/oracle.ts";
import { datumOf } from "../regularizer/datums.ts";

const PROBABILITIES = [
  [0.4, 0.3, 0.2, 0.1],
  [0.7, 0.1, 0.1, 0.1],
  [0.05, 0.05, 0.1, 0.8],
];
const Q = logprobs(PROBABILITIES);
const DATUM = datumOf([1, 0, 1], { source: "train.jsonl:3", targets: [0, 1, 3] });

const mapped = (change: (x: number, i: number) => number): Tensor => tensor(Q.data.map(change), Q.shape);
/** Softmax at temperature T of what has the distributions Q at 1. */
const tempered = (T: number): Tensor =>
  logprobs(
    PROBABILITIES.map((row) => {
      const powers = row.map((p) => p ** (1 / T));
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.map((x) => x / sum);
    }),
  );

const normalize = (rows: Tensor | TopK, format?: InputFormat) => rowNormalizer("teacher", format)(DATUM, 2, rows);

describe("rows that are log-probabilities", () => {
  test("come back as they are", () => {
    expect(normalize(Q)).toBe(Q);
    const some = topK({ data: Int32Array.of(0, 3, 1), shape: [3, 1] }, tensor([-0.9, -0.4, -0.3], [3, 1]));
    expect(normalize(some)).toBe(some);
  });

  test("may hold impossible tokens, and anything at positions of weight 0", () => {
    const certain = tensor([0, -Infinity, -Infinity, -Infinity, NaN, 7, 7, 7, ...Q.data.subarray(8)], Q.shape);
    expect(normalize(certain)).toBe(certain);
  });

  test("must be a tensor or a topK", () => {
    const of = (given: unknown) => () => normalize(given as Tensor);
    expect(of(undefined)).toThrow(
      "the reference (teacher), datum 2 (train.jsonl:3), is undefined, expected a tensor [M, V] or a topK",
    );
    expect(of([1, 2])).toThrow("is [1,2], expected a tensor");
  });

  test("of another shape are left to checkShapes", () => {
    const other = tensor([5, 5], [2, 1]);
    expect(normalize(other)).toBe(other);
  });
});

describe("other rows are refused with datum, position, what was found, and what it looks like", () => {
  test.each([
    [
      "logits",
      mapped((x) => x + 2),
      "position 0: the probabilities sum to 7.389, expected 1 within 0.001: some are above 0, as logits are",
    ],
    ["probabilities", mapped(Math.exp), "they look like probabilities: give their logarithms"],
    [
      "divided by 2",
      mapped((x) => x / 2),
      "divided by a temperature of 2: give them at temperature 1, or set temperature: 2",
    ],
    ["divided by 0.7", mapped((x) => x / 0.7), "divided by a temperature of 0.7:"],
    [
      "filtered",
      mapped((x, i) => (i % 4 === 2 ? -Infinity : x)),
      "position 0: the probabilities sum to 0.8, expected 1 within 0.001: give log-probabilities over the whole vocabulary, not logits, not tempered, filtered",
    ],
    [
      "not a number",
      mapped((x, i) => (i === 9 ? NaN : x)),
      "hold NaN at datum 2 (train.jsonl:3), position 2, token 1: expected numbers",
    ],
    ["+∞", mapped((x, i) => (i === 9 ? Infinity : x)), "position 2: the probabilities sum to Infinity"],
  ])("%s", (_, rows, message) => {
    expect(() => normalize(rows)).toThrow(UserError);
    expect(() => normalize(rows)).toThrow("the reference (teacher)");
    expect(() => normalize(rows)).toThrow("datum 2 (train.jsonl:3), position");
    expect(() => normalize(rows)).toThrow(message);
  });

  test("a top-k with more than everything, or that is not numbers", () => {
    const ids = { data: Int32Array.of(0, 3, 0, 3, 0, 3), shape: [3, 2] };
    const known = (last: number) => topK(ids, tensor([-1, -1, -1, -1, -0.2, last], [3, 2]));
    expect(normalize(known(-3))).toEqual(known(-3));
    expect(() => normalize(known(-0.2))).toThrow(
      "the reference (teacher), datum 2 (train.jsonl:3), position 2: the probabilities of the 2 tokens sum to 1.637, expected at most 1: give log-probabilities in the whole vocabulary",
    );
    expect(() => normalize(known(NaN))).toThrow("position 2, token 3: expected numbers");
  });
});

describe("a format", () => {
  test.each([0.5, 2, 3])("a temperature of %d is converted, whether normalized at it or only divided by it", (T) => {
    const expected = klDivergence(logprobs(PROBABILITIES.toReversed()), Q, { reduction: "none" });
    for (const rows of [tempered(T), mapped((x) => x / T)]) {
      const restored = normalize(rows, { temperature: T }) as Tensor;
      const found = klDivergence(logprobs(PROBABILITIES.toReversed()), restored, { reduction: "none" });
      for (const row of [0, 2]) expect(found.data[row]).toBeCloseTo(expected.data[row]!, 5);
    }
  });

  test("targets: each position has its target and the rest, and the divergence is a lower bound", () => {
    const targets = [...DATUM.lossInputs.target_tokens.data];
    const own = tensor(
      targets.map((token, row) => Q.data[row * 4 + token]!),
      [3],
    );
    const p = logprobs(PROBABILITIES.toReversed());
    const found = klDivergence(p, normalize(own, { targets: true }), { reduction: "none" });
    const binary = (a: number, b: number) => a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b));
    expect(found.data[0]).toBeCloseTo(binary(0.05, 0.4), 5);
    expect(found.data[2]).toBeCloseTo(binary(0.1, 0.8), 5);
    expect(found.data[0]).toBeLessThan(klDivergence(p, Q, { reduction: "none" }).data[0]!);
  });

  test("that the rows do not have is refused", () => {
    expect(() => normalize(Q, { targets: true })).toThrow(
      "the reference (teacher), datum 2 (train.jsonl:3), has the format { targets: true }, expected [3], one number per target token, found [3, 4]",
    );
    const some = topK({ data: Int32Array.of(0, 3, 1), shape: [3, 1] }, tensor([-0.9, -0.4, -0.3], [3, 1]));
    expect(() => normalize(some, { targets: true })).toThrow("found a top-k [3, 1]");
    expect(() => normalize(some, { temperature: 2 })).toThrow("cannot be converted without the rest of the vocabulary");
    expect(() => rowNormalizer("teacher", { temperature: 0 })).toThrow(
      "temperature is 0, expected a finite number > 0",
    );
    expect(() => rowNormalizer("teacher", { temperature: 2, targets: true })).toThrow(
      "are of target tokens alone at temperature 2, which cannot be converted without the rest of the vocabulary",
    );
  });
});

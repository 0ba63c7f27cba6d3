import { expect } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { logSoftmax, type Tensor } from "../../src/divergence/index.ts";
import { compute, type Regularizer } from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { datumOf } from "./datums.ts";

/** @file Two small datums, with rows that do not count, and regularizers held against a definition of one row on them. */

/** Rows' weights of both; they sum to 3.5. */
const WEIGHTS = [
  [0, 1, 0.5],
  [2, 0],
] as const;
export const TOTAL = 3.5;
export const SIZE = 4;

/** Logits of some distributions, the same for equal seeds. */
const logits = (seed: number, rows: number) =>
  oracle.matrix(
    Array.from({ length: rows }, (_, r) =>
      Array.from({ length: SIZE }, (_, v) => 2 * Math.sin(seed + 7 * r + 3 * v + v * v)),
    ),
  );

export const REFERENCE = [logits(3, 3), logits(4, 2)].map((z) => logSoftmax(z));
export const MODEL = [logits(1, 3), logits(2, 2)].map((z) => logSoftmax(z));
/** Each one carries its reference as `base`. */
export const DATA: readonly Datum[] = WEIGHTS.map((weights, i) => ({
  ...datumOf(weights, { source: `train.jsonl:${i + 1}`, fields: { base: REFERENCE[i]! } }),
  modelInput: Int32Array.from(weights, (_, r) => 1 + ((5 * i + 3 * r) % SIZE)),
}));

/** The value of a row of probabilities p, held to q. */
export type Definition = (p: number[], q: number[]) => number;

const rowOf = ({ data, shape }: Tensor, r: number) => [...data.subarray(r * shape[1]!, (r + 1) * shape[1]!)];

/**
 * Loss, metrics and gradient of a regularizer are those of the definition: the mean over the rows that count, its extremes,
 * and its slope by finite differences in float64.
 */
export async function expectDefined(
  regularizer: Regularizer,
  definition: Definition,
  {
    metric,
    prefix = metric,
    sign = 1,
    digits = 5,
    references = REFERENCE,
    weights = WEIGHTS as readonly (readonly number[])[],
  }: {
    readonly metric: string;
    readonly prefix?: string;
    readonly sign?: number;
    readonly digits?: number;
    readonly references?: readonly Tensor[];
    readonly weights?: readonly (readonly number[])[];
  },
): Promise<void> {
  const { loss, metrics, gradient } = await compute(regularizer, DATA, MODEL);
  const values: number[] = [];
  let mean = 0;
  let norm = 0;
  for (const [d, list] of weights.entries()) {
    expect(gradient[d]!.shape).toEqual(MODEL[d]!.shape);
    for (const [r, weight] of list.entries()) {
      const q = oracle.softmax(rowOf(references[d]!, r));
      const share = (sign * weight) / TOTAL;
      const slopes = oracle.numericalGradient((z) => share * definition(oracle.softmax(z), q), rowOf(MODEL[d]!, r));
      for (const [v, slope] of rowOf(gradient[d]!, r).entries()) {
        expect(slope).toBeCloseTo(slopes[v]!, digits);
        norm += slope * slope;
      }
      if (weight === 0) continue;
      const value = definition(oracle.softmax(rowOf(MODEL[d]!, r)), q);
      mean += (weight * value) / TOTAL;
      values.push(value);
    }
  }
  expect(norm).toBeGreaterThan(1e-6);
  expect(loss).toBeCloseTo(sign * mean, digits);
  expect(metrics[metric]).toBeCloseTo(mean, digits);
  expect(metrics[`${prefix}_max`]).toBeCloseTo(Math.max(...values), digits);
  expect(metrics[`${prefix}_min`]).toBeCloseTo(Math.min(...values), digits);
}

/** Walks down the gradient from the model's logits, and returns the last loss and the distributions there. */
export async function descend(regularizer: Regularizer, steps: number, rate: number) {
  const z = MODEL.map(({ data, shape }) => ({ data: data.slice(), shape }));
  let loss = Number.NaN;
  for (let step = 0; step < steps; step++) {
    const penalty = await compute(
      regularizer,
      DATA,
      z.map((each) => logSoftmax(each)),
    );
    loss = penalty.loss;
    for (const [d, { data }] of penalty.gradient.entries())
      for (const [i, slope] of data.entries()) z[d]!.data[i]! -= rate * slope;
  }
  return { loss, logprobs: z.map((each) => logSoftmax(each)) };
}

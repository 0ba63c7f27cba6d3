import type { Divergence } from "../divergence/divergence.ts";
import { KernelRows } from "../divergence/kernel/kernel-rows.ts";
import { type RowKernel, sumsOfOne } from "../divergence/kernel/row-kernel.ts";
import { settings } from "../divergence/options.ts";
import type { Row, RowFormula } from "../divergence/row.ts";
import type { TopKWithGradient } from "../divergence/supports/over-top-k.ts";
import type { TopK } from "../divergence/supports/top-k.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { MeasureOptions } from "./row-penalty.ts";

/**
 * `divergence.withGradient(p, q)` of a model over the whole vocabulary from a reference known at k tokens and their rest, at
 * little more than the cost of one softmax: the vocabulary is read once, for the probability that the model gives to the
 * rest, the formula sees k + 1 outcomes, and the gradient of the rest is shared among its tokens by their probabilities.
 * Rows that the kernels cannot tell are left to `divergence` itself.
 *
 * @param formula of one row, the divergence's own.
 */
export function overTopKOutcomes<Own extends object>(
  divergence: Divergence<Own>,
  own: Own,
  formula: RowFormula,
  p: Tensor,
  q: TopK,
  options: MeasureOptions,
): TopKWithGradient<"mean"> {
  const { addTo, weights: given, totalWeight, clip = Number.POSITIVE_INFINITY, epsilon = 0 } = options;
  const [rows, size] = p.shape as [number, number];
  const k = q.tokens.shape[1]!;
  const whole = () => divergence.withGradient<"mean", TopK>(p, q, { ...own, ...options });
  if (!addTo || !q.tail || totalWeight === undefined || epsilon > 0 || k >= size) return whole();
  const coverage = new Float64Array(rows);
  const kernel = outcomesKernel(formula, q, size, coverage);
  KernelRows.makeRoom(kernel, p, undefined, 1);
  const fast = KernelRows.open(kernel, p, undefined, settings({ clip }));
  if (!fast) return whole();

  const weights = given && "data" in given ? given.data : given;
  const weightOf = (r: number) => (weights ? weights[r]! : 1);
  const values = Float64Array.from({ length: rows }, (_, r) => (weightOf(r) === 0 ? 0 : Number.NaN));
  const factors = values.map((_, r) => (addTo.scale * weightOf(r)) / totalWeight);
  fast.compute(values, addTo.scale === 0 ? undefined : { into: addTo.gradient.data, factors, add: true });
  const perRow = new Float32Array(rows);
  let [sum, clipped, covered] = [0, 0, 0];
  for (let r = 0; r < rows; r++) {
    const [weight, value] = [weightOf(r), values[r]!];
    if (weight === 0) continue;
    if (Number.isNaN(value)) {
      const gradient = rowOf(addTo.gradient, r, size);
      const alone = { ...own, ...options, weights: [weight], addTo: { gradient, scale: addTo.scale } };
      let part: TopKWithGradient<"mean">;
      try {
        part = divergence.withGradient<"mean", TopK>(rowOf(p, r, size), topKRow(q, r), alone);
      } catch {
        // It is refused again, by its number among all rows.
        return whole();
      }
      perRow[r] = part.perRow.data[0]!;
      sum += part.value * totalWeight;
      clipped += part.clippedShare * totalWeight;
      covered += part.coverage * totalWeight;
      continue;
    }
    perRow[r] = Math.min(value, clip);
    sum += weight * Math.min(value, clip);
    covered += weight * coverage[r]!;
    if (value > clip) clipped += weight;
  }
  const share = (part: number) => (part === 0 ? 0 : part / totalWeight);
  return {
    value: share(sum),
    perRow: { data: perRow, shape: [rows] },
    gradient: addTo.gradient,
    clippedShare: share(clipped),
    coverage: share(covered),
    lowerBound: true,
  };
}

/** Writes into `coverage` the reference's probability of each row's k tokens as well. */
function outcomesKernel(
  formula: RowFormula,
  { tokens, logprobs, tail }: TopK,
  size: number,
  coverage: Float64Array,
): RowKernel {
  const k = tokens.shape[1]!;
  const room = () => new Float64Array(k + 1);
  const small = { index: 0, p: room(), logP: room(), q: room(), logQ: room(), gradient: room() } satisfies Row;
  const seen = new Int32Array(size).fill(-1);
  let [ids, total] = [tokens.data, 1];
  /** Reads row r of the reference. False unless it is in order: different tokens of the vocabulary, that sum to 1. */
  const load = (r: number) => {
    ids = tokens.data.subarray(r * k, r * k + k);
    let sum = 0;
    for (let i = 0; i <= k; i++) {
      const logprob = i < k ? logprobs.data[r * k + i]! : tail!.data[r]!;
      small.logQ[i] = logprob;
      small.q[i] = Math.exp(logprob);
      sum += small.q[i]!;
      if (i === k) continue;
      const id = ids[i]!;
      if (!(id >= 0 && id < size) || seen[id] === r) return false;
      seen[id] = r;
    }
    if (!(Math.abs(sum - 1) < 1e-3)) return false;
    normalize(small.q, small.logQ, sum);
    return true;
  };
  return {
    value(row) {
      if (!load(row.index)) return Number.NaN;
      coverage[row.index] = Math.min(1, 1 - small.q[k]!);
      const { instance, ex } = row;
      const { kernels, results, floats } = instance;
      sumsOfOne(row);
      total = results[0]!;
      for (let i = 0; i < k; i++) {
        const id = ids[i]!;
        small.logP[i] = floats[row.x / 4 + id]!;
        small.p[i] = Math.exp(small.logP[i]!);
        floats[ex / 4 + id] = 0;
      }
      kernels.sum(ex, size);
      small.p[k] = results[0]!;
      small.logP[k] = Math.log(results[0]!);
      normalize(
        small.p,
        small.logP,
        small.p.reduce((a, b) => a + b, 0),
      );
      small.index = row.index;
      return formula(small);
    },
    gradient({ instance, ex }, g, factor, add) {
      const { kernels, floats } = instance;
      const before = add ? Float64Array.from(ids, (id) => floats[g / 4 + id]!) : undefined;
      // The k tokens hold 0 in ex.
      const share = small.p[k]! > 0 ? small.gradient[k]! / small.p[k]! : 0;
      kernels.gradientOfExp(g, ex, size, (factor * share) / total, add);
      for (let i = 0; i < k; i++) floats[g / 4 + ids[i]!] = (before?.[i] ?? 0) + factor * small.gradient[i]!;
    },
  };
}

function normalize(probability: Float64Array, log: Float64Array, sum: number): void {
  const logSum = Math.log(sum);
  for (let i = 0; i < log.length; i++) {
    log[i]! -= logSum;
    probability[i]! /= sum;
  }
}

function rowOf({ data }: Tensor, r: number, size: number): Tensor {
  return { data: data.subarray(r * size, r * size + size), shape: [1, size] };
}

function topKRow({ support, tokens, logprobs, tail }: TopK, r: number): TopK {
  const k = tokens.shape[1]!;
  const shape = [1, k];
  return {
    support,
    tokens: { data: tokens.data.subarray(r * k, r * k + k), shape },
    logprobs: rowOf(logprobs, r, k),
    tail: tail && { data: tail.data.subarray(r, r + 1), shape: [1] },
  };
}

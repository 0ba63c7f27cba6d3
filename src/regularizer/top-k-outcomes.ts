import type { Divergence } from "../divergence/divergence.ts";
import { onKernels } from "../divergence/kernel/kernel-rows.ts";
import { type RowKernel, sumsOfOne } from "../divergence/kernel/row-kernel.ts";
import type { Row, RowFormula } from "../divergence/row.ts";
import { overRows } from "../divergence/rows.ts";
import type { TopKWithGradient } from "../divergence/supports/over-top-k.ts";
import type { TopK } from "../divergence/supports/top-k.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { MeasureOptions } from "./row-penalty.ts";

/**
 * `divergence.withGradient(p, q)` of a model over the whole vocabulary from a reference known at k tokens and their rest, at
 * little more than the cost of one softmax: the vocabulary is read once, for the probability that the model gives to the
 * rest, the formula sees k + 1 outcomes, and the gradient of the rest is shared among its tokens by their probabilities.
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
  const { weights: given, totalWeight, epsilon = 0 } = options;
  const weights = given && "data" in given ? given.data : given;
  const total = totalWeight ?? sumOf(weights, q);
  const size = p.shape[1]!;
  const covered = epsilon === 0 && q.tail ? coverage(q, size, weights) : undefined;
  // What is out of order is refused there, and what is rare is done there.
  if (covered === undefined) return divergence.withGradient<"mean", TopK>(p, q, { ...own, ...options });
  const found = overRows<"mean">(throughOutcomes(formula, q), p, undefined, options, true);
  return { ...found, coverage: covered === 0 ? 0 : covered / total, lowerBound: true };
}

/** A rest above this is the difference of two sums; one below, of which that would have few digits, is summed itself. */
const LARGE_REST = 0.05;

/** Σ w·Σ q over the k tokens. Undefined unless each row has k different tokens of the vocabulary, and not all, and sums to 1. */
function coverage({ tokens, logprobs, tail }: TopK, size: number, weights: ArrayLike<number> | undefined) {
  const [rows, k] = tokens.shape as [number, number];
  if (k >= size) return undefined;
  const seen = new Int32Array(size).fill(-1);
  let covered = 0;
  for (let r = 0; r < rows; r++) {
    const weight = weights ? weights[r]! : 1;
    if (weight === 0) continue;
    let known = 0;
    for (let i = r * k; i < r * k + k; i++) {
      const id = tokens.data[i]!;
      if (!(id >= 0 && id < size) || seen[id] === r) return undefined;
      seen[id] = r;
      known += Math.exp(logprobs.data[i]!);
    }
    if (!(Math.abs(known + Math.exp(tail!.data[r]!) - 1) < 1e-3)) return undefined;
    covered += weight * Math.min(1, known);
  }
  return covered;
}

/** The formula over k + 1 outcomes, as one over the vocabulary. */
function throughOutcomes(formula: RowFormula, { tokens, logprobs, tail }: TopK): RowFormula {
  const k = tokens.shape[1]!;
  const room = () => new Float64Array(k + 1);
  const small = { index: 0, p: room(), logP: room(), q: room(), logQ: room(), gradient: room() } satisfies Row;
  const before = new Float64Array(k);
  let total = 1;

  /** The value, once `logP` holds the model's k tokens. */
  const compare = (row: number, rest: number): number => {
    for (let i = 0; i < k; i++) small.logQ[i] = logprobs.data[row * k + i]!;
    small.logQ[k] = tail!.data[row]!;
    small.logP[k] = Math.log(rest);
    normalize(small.q, small.logQ);
    normalize(small.p, small.logP);
    small.index = row;
    return formula(small);
  };
  /** What the gradient of each token of the rest is, by its probability. */
  const share = () => (small.p[k]! > 0 ? small.gradient[k]! / small.p[k]! : 0);

  const kernel: RowKernel = {
    value(row) {
      const { kernels, results, floats } = row.instance;
      sumsOfOne(row);
      total = results[0]!;
      let known = 0;
      const first = row.index * k;
      for (let i = 0; i < k; i++) {
        const id = tokens.data[first + i]!;
        small.logP[i] = floats[row.x / 4 + id]!;
        known += floats[row.ex / 4 + id]!;
        floats[row.ex / 4 + id] = 0;
      }
      if (total - known > LARGE_REST * total) return compare(row.index, total - known);
      kernels.sum(row.ex, row.size);
      return compare(row.index, results[0]!);
    },
    gradient({ instance, index, ex, size }, g, factor, add) {
      const { kernels, floats } = instance;
      const at = (i: number) => g / 4 + tokens.data[index * k + i]!;
      for (let i = 0; i < k; i++) before[i] = add ? floats[at(i)]! : 0;
      // The k tokens hold 0 in ex.
      kernels.gradientOfExp(g, ex, size, (factor * share()) / total, add);
      for (let i = 0; i < k; i++) floats[at(i)] = before[i]! + factor * small.gradient[i]!;
    },
  };
  const whole = ({ index, p, logP, gradient }: Row): number => {
    const ids = tokens.data.subarray(index * k, index * k + k);
    for (const [i, id] of ids.entries()) {
      small.logP[i] = logP[id]!;
      p[id] = 0;
    }
    let rest = 0;
    for (const probability of p) rest += probability;
    const value = compare(index, rest);
    if (gradient) {
      for (let i = 0; i < p.length; i++) gradient[i] = p[i]! * share();
      for (const [i, id] of ids.entries()) gradient[id] = small.gradient[i]!;
    }
    return value;
  };
  return Object.assign(whole, { kernel: onKernels(kernel) });
}

/** Log-probabilities that nearly sum to 1, to the last digit, and the probabilities. */
function normalize(probability: Float64Array, log: Float64Array): void {
  let sum = 0;
  for (let i = 0; i < log.length; i++) {
    probability[i] = Math.exp(log[i]!);
    sum += probability[i]!;
  }
  const logSum = Math.log(sum);
  for (let i = 0; i < log.length; i++) {
    log[i]! -= logSum;
    probability[i]! /= sum;
  }
}

function sumOf(weights: ArrayLike<number> | undefined, { tokens }: TopK): number {
  if (!weights) return tokens.shape[0]!;
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i]!;
  return sum;
}

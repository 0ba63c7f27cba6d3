import { type RowKernel, resolved, sumsOfOne } from "../kernel/row-kernel.ts";
import {
  type DivergenceOptions,
  type GradientOptions,
  type Reduction,
  settings,
  type WithGradient,
} from "../options.ts";
import { type Row, type RowFormula, takeOut } from "../row.ts";
import { overRows } from "../rows.ts";
import { formatShape, sameShape, type Tensor } from "../tensor.ts";
import { rowWeights } from "../weights.ts";
import type { TopK } from "./top-k.ts";

/** Options of a comparison with a top-k reference. */
export interface TopKOptions {
  /**
   * Compares the k tokens alone, each side scaled up to sum to 1. That ignores how much both leave to the rest, and bounds
   * nothing. Default false: the rest counts as one more outcome.
   */
  readonly renormalize?: boolean;
}

/** The default of each option of a comparison with a top-k reference. */
export const TOP_K_DEFAULTS = { renormalize: false } as const;

/** Its result. The gradient with respect to a model known at the same k tokens is shaped like its log-probabilities. */
export interface TopKWithGradient<R extends Reduction = Reduction> extends WithGradient<R> {
  /** The reference's probability of its k tokens: Σ w·Σ q / Σ w. Parts of a batch with the same `totalWeight` add up. */
  readonly coverage: number;
  /** Whether the value is a lower bound of the divergence over the whole vocabulary: yes, unless renormalized. */
  readonly lowerBound: boolean;
}

/** How far above 1 the probabilities of a row may sum. */
const TOLERANCE = 1e-3;
/** The log-probability of a rest that the sum of float32 log-probabilities cannot distinguish from none. */
const RESOLUTION = Math.log(1e-6);
/** A probability that stands for smaller ones. */
const SMALLEST = 1e-300;

/**
 * Applies a formula to the k + 1 outcomes (or, renormalized, the k outcomes) of each row of weight above 0.
 *
 * Merging outcomes never raises a divergence (data processing), hence the lower bound. The gradient h that the formula gives
 * is with respect to logits of the merged row. For a model known over the whole vocabulary, h of the rest is divided among
 * its tokens in proportion to their probability. For a model known at the same k tokens, whose log-probabilities fix the
 * rest, the gradient is with respect to each of those alone: h_i − h_rest·p_i / p_rest.
 */
export function overTopK<R extends Reduction>(
  formula: RowFormula,
  p: Tensor | TopK,
  q: TopK,
  options: DivergenceOptions<R> & GradientOptions & TopKOptions,
  gradients: boolean,
): TopKWithGradient<R> {
  const known = "support" in p ? p : undefined;
  const model = known?.logprobs ?? (p as Tensor);
  const k = q.tokens.shape.at(-1)!;
  const vocabulary = known ? undefined : model.shape.at(-1)!;
  const rows = q.tokens.data.length / k;
  checkRows(model.shape, q.tokens.shape, known !== undefined);
  const { weights: given, totalWeight, epsilon, inverseTemperature } = settings(options);
  const { renormalize = TOP_K_DEFAULTS.renormalize } = options;
  // Where every token is known there is no rest.
  const withRest = !renormalize && k !== vocabulary;
  if (withRest && inverseTemperature !== 1) {
    throw new RangeError(
      `temperature is ${options.temperature}, but the rest of a top-k cannot be softened afterwards: soften both sides before the selection, or renormalize`,
    );
  }
  if (known && epsilon > 0) {
    throw new RangeError(
      `epsilon is ${epsilon}, but two top-k sides do not know the size of the vocabulary: leave it at 0`,
    );
  }
  const small = smallRow(withRest ? k + 1 : k, gradients);
  const coverages = new Float64Array(rows);
  const checkTokens = tokenCheck(q, vocabulary, known);

  /** Checks a row, and records its coverage. */
  const open = (index: number): Int32Array => {
    coverages[index] = probabilityOf(q, "q", index);
    return checkTokens(index);
  };
  /** The value, after the model's k tokens were written to `small.logP`; `ofP` is what the model leaves to the others. */
  const compare = (index: number, ofP: Rest): number => {
    for (let i = 0; i < k; i++) small.logQ[i] = q.logprobs.data[index * k + i]! * inverseTemperature;
    if (withRest) {
      const ofQ = restOf(q, index, coverages[index]!);
      if (!ofP.exact && ofP.log < RESOLUTION) ofP.log = Math.min(ofQ.log, RESOLUTION);
      if (!ofQ.exact && ofQ.log < RESOLUTION) ofQ.log = Math.min(ofP.log, RESOLUTION);
      small.logP[k] = ofP.log;
      small.logQ[k] = ofQ.log;
    }
    normalize(small.logP, small.p);
    normalize(small.logQ, small.q);
    // The gradient is divided by this probability, which may be too small for float64. Its logarithm is exact.
    if (withRest && ofP.log > Number.NEGATIVE_INFINITY) small.p[k] = Math.max(small.p[k]!, SMALLEST);
    if (epsilon > 0) smooth(small, epsilon, k, withRest ? vocabulary! : k);
    small.index = index;
    return formula(small);
  };
  /** The gradient of the rest, for each unit of `rest`, what the model leaves to it. */
  const share = (rest: number) => (withRest && rest > 0 ? small.gradient![k]! / rest : 0);

  const ofRow = (row: Row): number => {
    const { index, gradient } = row;
    const tokens = open(index);
    for (let i = 0; i < k; i++) {
      small.logP[i] = known ? known.logprobs.data[index * k + i]! * inverseTemperature : row.logP[tokens[i]!]!;
    }
    if (known) {
      const value = compare(index, restOf(known, index, probabilityOf(known, "p", index)));
      const ofRest = gradient ? share(small.p[k]!) : 0;
      if (gradient) for (let i = 0; i < k; i++) gradient[i] = small.gradient![i]! - small.p[i]! * ofRest;
      return value;
    }
    const rest = takeOut(row, tokens);
    const value = compare(index, { log: rest.log, exact: true });
    if (!gradient) return value;
    const ofRest = share(rest.sum);
    for (let i = 0; i < gradient.length; i++) gradient[i] = row.p[i]! * ofRest;
    for (let i = 0; i < k; i++) gradient[tokens[i]!] = small.gradient![i]!;
    return value;
  };

  // Of the row at hand: Σ exp(x) over the tokens of the rest.
  let rest = 1;
  const before = new Float64Array(k);
  /** One softmax over the vocabulary, and then the formula over k + 1 outcomes. */
  const kernel: RowKernel = {
    value(row) {
      const { instance, ex, size, index } = row;
      const { kernels, results, floats } = instance;
      const tokens = open(index);
      sumsOfOne(row);
      const logTotal = Math.log(results[0]!);
      for (let i = 0; i < k; i++) {
        const id = tokens[i]!;
        small.logP[i] = floats[row.nearX / 4 + id]! - logTotal;
        floats[ex / 4 + id] = 0;
      }
      // Not the total less the k tokens: a difference is less precise.
      kernels.sum(ex, size);
      rest = results[0]!;
      if (!resolved(rest, size)) return Number.NaN;
      return compare(index, { log: Math.log(rest) - logTotal, exact: true });
    },
    gradient({ instance, index, ex, size }, g, factor, add) {
      const { kernels, floats } = instance;
      const at = (i: number) => g / 4 + q.tokens.data[index * k + i]!;
      for (let i = 0; i < k; i++) before[i] = add ? floats[at(i)]! : 0;
      // The k tokens hold 0 in ex.
      kernels.gradientOfExp(g, ex, size, factor * share(rest), add);
      for (let i = 0; i < k; i++) floats[at(i)] = before[i]! + factor * small.gradient![i]!;
    },
  };
  const overVocabulary: RowFormula =
    known || !withRest || !formula.kernel ? ofRow : Object.assign(ofRow, { kernel: formula.kernel.other(kernel) });

  // A model known at k tokens is not a distribution over them: read as logits, its rows are not checked to sum to 1.
  const found = overRows<R>(
    overVocabulary,
    model,
    undefined,
    known ? { ...options, input: "logits" } : options,
    gradients,
  );
  const { weights, divisor } = rowWeights(given, totalWeight, rows);
  const covered = coverages.reduce((all, each, r) => all + (weights ? weights[r]! : 1) * Math.min(1, each), 0);
  return { ...found, coverage: covered === 0 ? 0 : covered / divisor, lowerBound: !renormalize };
}

function checkRows(p: readonly number[], q: readonly number[], known: boolean): void {
  if (sameShape(p.slice(0, -1), q.slice(0, -1)) && (!known || sameShape(p, q))) return;
  throw new RangeError(
    `p is ${formatShape(p)} and the top-k q ${formatShape(q)}: both must have the same rows${known ? " and the same k" : ""}`,
  );
}

/** The number of the check in which each token was last listed. Kept: clearing a vocabulary costs more than the look-ups. */
let listed = new Float64Array(0);
let checks = 0;

/** Returns the token ids of a row after checking them: each in the vocabulary, none twice, the same on both sides. */
function tokenCheck({ tokens }: TopK, vocabulary: number | undefined, known: TopK | undefined) {
  const k = tokens.shape.at(-1)!;
  if (vocabulary !== undefined && listed.length < vocabulary) listed = new Float64Array(vocabulary);
  return (row: number): Int32Array => {
    checks++;
    const ids = tokens.data.subarray(row * k, row * k + k);
    if (vocabulary === undefined && new Set(ids).size !== k) throw twice(row, k);
    for (let i = 0; i < k; i++) {
      const id = ids[i]!;
      if (id < 0 || id >= (vocabulary ?? Number.POSITIVE_INFINITY)) {
        throw new RangeError(
          `row ${row} of q lists token ${id}, expected ids from 0 to below ${vocabulary ?? "the vocabulary's size"}`,
        );
      }
      if (vocabulary !== undefined) {
        if (listed[id] === checks) throw twice(row, k);
        listed[id] = checks;
      }
      const other = known?.tokens.data[row * k + i] ?? id;
      if (other !== id) {
        throw new RangeError(
          `row ${row} of p lists token ${other} where q lists ${id}: ask the model for the reference's tokens, in its order`,
        );
      }
    }
    return ids;
  };
}

function twice(row: number, k: number): RangeError {
  return new RangeError(`row ${row} of q lists a token twice, expected ${k} different ones`);
}

/** The probability of the k tokens of a row together. */
function probabilityOf({ logprobs, tokens, tail }: TopK, side: "p" | "q", row: number): number {
  const k = tokens.shape.at(-1)!;
  let known = 0;
  for (let i = row * k; i < row * k + k; i++) known += Math.exp(logprobs.data[i]!);
  const all = known + (tail ? Math.exp(tail.data[row]!) : 0);
  if (all > 1 + TOLERANCE || (tail && all < 1 - TOLERANCE)) {
    throw new RangeError(
      `the top-k of row ${row} of ${side} sums to ${Number(all.toPrecision(4))}${tail ? " with its tail, expected 1" : ", expected at most 1"}: give log-probabilities of the whole vocabulary's softmax`,
    );
  }
  return known;
}

/** The log-probability of all other tokens, and whether it is known exactly. */
interface Rest {
  log: number;
  readonly exact: boolean;
}

function restOf({ tail }: TopK, row: number, known: number): Rest {
  return tail ? { log: tail.data[row]!, exact: true } : { log: Math.log(Math.max(0, 1 - known)), exact: false };
}

function normalize(log: Float64Array, probability: Float64Array): void {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < log.length; i++) if (log[i]! > max) max = log[i]!;
  let sum = 0;
  for (let i = 0; i < log.length; i++) {
    probability[i] = Math.exp(log[i]! - max);
    sum += probability[i]!;
  }
  const logSum = max + Math.log(sum);
  for (let i = 0; i < log.length; i++) {
    log[i]! -= logSum;
    probability[i]! /= sum;
  }
}

/** q ← (1 − ε)·q + ε/V, where the rest gets a share for each of its tokens. */
function smooth({ q, logQ }: Row, epsilon: number, k: number, vocabulary: number): void {
  for (let i = 0; i < q.length; i++) {
    q[i] = (1 - epsilon) * q[i]! + (epsilon / vocabulary) * (i < k ? 1 : vocabulary - k);
    logQ[i] = Math.log(q[i]!);
  }
}

function smallRow(size: number, gradients: boolean): Row {
  const room = () => new Float64Array(size);
  return { index: 0, p: room(), logP: room(), q: room(), logQ: room(), gradient: gradients ? room() : undefined };
}

import type { Instance } from "./instance.ts";

/** One row in the kernels' memory. All addresses are in bytes. */
export interface PlacedRow {
  readonly instance: Instance;
  /** Which row of the input this is. */
  index: number;
  readonly size: number;
  /** 1 / temperature. */
  readonly t: number;
  /** The model's row and the reference's, or copies of them near 0. */
  x: number;
  y: number;
  /** Scratch memory for copies of them. */
  readonly copyX: number;
  readonly copyY: number;
  /**
   * Scratch memory for exp(t·x) and exp(t·y). The first is where the row's gradient goes, unless that overwrites numbers
   * that are still needed: fetching its memory is free while exponentials are computed, and slow where numbers are only moved.
   */
  ex: number;
  readonly ey: number;
  /** Scratch memory for one more number per outcome. */
  readonly w: number;
  /** Σ exp(t·x) and Σ exp(t·y) of the rows as given: for log-probabilities, the sum of the probabilities. */
  sumX: number;
  sumY: number;
  /** Whether x is logits, and whether y is log-probabilities that the caller says sum to 1. */
  readonly logitsX: boolean;
  readonly vouchedY: boolean;
}

/** What a kernel is created from. */
export interface KernelKind {
  readonly name: "kl" | "jensenShannon" | "entropy" | "crossEntropy";
  /** KL: 0 for KL(p‖q), 1 for KL(q‖p). Jensen–Shannon: β. Otherwise 0. */
  readonly parameter: number;
  /** Cross-entropy: the target token of each row. */
  readonly targets?: Int32Array;
}

/** The fast form of a `RowFormula`. */
export interface RowKernel {
  /** What other threads create the same kernel from. A kernel without it runs in the calling thread only. */
  readonly kind?: KernelKind;
  /** The row's value in nats. NaN or infinite: the row is left to the formula. */
  value(row: PlacedRow): number;
  /** Writes factor · d value / d logits to address g, or adds it. Called after `value`, for the same row. */
  gradient(row: PlacedRow, g: number, factor: number, add: boolean): void;
}

/**
 * Values below this, in nats, are computed again, by sums in which nothing cancels. Above it the error of float32, some 1e-7
 * of a nat, is small relative to the value.
 */
export const CLOSE = 0.25;

/** The same threshold for values that depend only on how far the largest probability of a row is below 1. */
export const CONFIDENT = 0.5;

/**
 * Whether a sum of exponentials is precise: within float32's range and, at a temperature, of numbers near 0, since the base of
 * the exponential is then rounded to float32.
 */
function ordinary(sum: number, t: number): boolean {
  return t === 1 ? sum > 1e-17 && sum < 1e30 : sum > 1e-3 && sum < 1e6;
}

/** Whether a sum of `count` exponentials is precise, although those below 1e-37 count as 0 in it. */
export function resolved(sum: number, count: number): boolean {
  return sum > 1e-31 * count;
}

/** A number as the sum of two float32 numbers. */
export function split(k: number): [high: number, low: number] {
  const high = Math.fround(k);
  return [high, k - high];
}

/** exp(t·x) and its sums. A row beyond float32's range is replaced by a copy whose largest number is near 0. */
export function sumsOfOne(row: PlacedRow): void {
  const { instance, ex, size, copyX } = row;
  const { kernels, results } = instance;
  kernels.sumsOfOne(row.x, ex, size);
  row.sumX = results[0]!;
  if (ordinary(row.sumX, row.t)) return;
  row.x = shift(row, row.x, copyX);
  kernels.sumsOfOne(row.x, ex, size);
}

/** The same of both rows; with `reverse` the second row takes the place of the first. */
export function sumsOfTwo(row: PlacedRow, reverse: boolean): void {
  const { instance, ex, ey, w, size, copyX, copyY } = row;
  const { kernels, results } = instance;
  const compute = () =>
    reverse ? kernels.sumsOfTwo(row.y, row.x, ey, ex, w, size) : kernels.sumsOfTwo(row.x, row.y, ex, ey, w, size);
  compute();
  row.sumX = results[reverse ? 1 : 0]!;
  row.sumY = results[reverse ? 0 : 1]!;
  if (ordinary(row.sumX, row.t) && ordinary(row.sumY, row.t)) return;
  if (!ordinary(row.sumX, row.t)) row.x = shift(row, row.x, copyX);
  if (!ordinary(row.sumY, row.t)) row.y = shift(row, row.y, copyY);
  compute();
}

/** A whole number is taken from a row of numbers that large that the difference has no more digits, where it matters. */
function shift({ instance, size }: PlacedRow, from: number, to: number): number {
  const { kernels } = instance;
  kernels.offset(Math.round(kernels.largest(from, size)), 0);
  kernels.centered(to, from, size, 1);
  return to;
}

/**
 * log Σ exp(t·x) of a row, after `sumsOfOne`, in parts: t·(its largest number), and how far above that the logarithm is, to
 * the last digit of even a small distance; and Σ exp(t·x)·x / Σ exp(t·x), from the largest number.
 */
export function confidentSums({ instance, x, ex, size, t }: PlacedRow) {
  const { kernels, results } = instance;
  const most = kernels.largest(x, size);
  kernels.sumsBelow(x, ex, size, most);
  const one = Math.exp(t * most);
  const others = results[0]! / one + results[2]! - 1;
  return { most: t * most, above: Math.log1p(others), mean: results[1]! / one / (1 + others) };
}

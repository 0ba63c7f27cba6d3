import type { Instance } from "./instance.ts";

/** One row in the kernels' memory. All addresses are in bytes. */
export interface PlacedRow {
  readonly instance: Instance;
  /** Which row of the input this is. */
  index: number;
  readonly size: number;
  /** 1 / temperature. */
  readonly t: number;
  /** The model's row and the reference's, as given. */
  x: number;
  y: number;
  /**
   * The same rows, or copies less their largest number where float32 has no precise exponentials of them. Numbers that are
   * closer to 0 than to the largest one lose digits by that, so the difference of two rows is taken of the rows as given.
   */
  nearX: number;
  nearY: number;
  shiftX: number;
  shiftY: number;
  /** Scratch memory for those copies. */
  readonly roomX: number;
  readonly roomY: number;
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

/** exp(t·x) and its sums. A row beyond float32's range is replaced by a copy whose largest number is 0. */
export function sumsOfOne(row: PlacedRow): void {
  const { instance, ex, size } = row;
  const { kernels, results } = instance;
  kernels.sumsOfOne(row.x, ex, size);
  row.sumX = results[0]!;
  if (ordinary(row.sumX, row.t)) return;
  shiftX(row);
  kernels.sumsOfOne(row.nearX, ex, size);
}

/** The same of both rows; with `reverse` the second row takes the place of the first. */
export function sumsOfTwo(row: PlacedRow, reverse: boolean): void {
  const { instance, ex, ey, w, size } = row;
  const { kernels, results } = instance;
  const compute = () =>
    reverse
      ? kernels.sumsOfTwo(row.nearY, row.nearX, ey, ex, w, size)
      : kernels.sumsOfTwo(row.nearX, row.nearY, ex, ey, w, size);
  compute();
  row.sumX = results[reverse ? 1 : 0]!;
  row.sumY = results[reverse ? 0 : 1]!;
  if (ordinary(row.sumX, row.t) && ordinary(row.sumY, row.t)) return;
  if (!ordinary(row.sumX, row.t)) shiftX(row);
  if (!ordinary(row.sumY, row.t)) {
    row.shiftY = shift(row, row.y, row.roomY);
    row.nearY = row.roomY;
  }
  if (Math.abs(row.shiftX - row.shiftY) > LARGEST_SHIFT) {
    [row.x, row.y] = [row.nearX, row.nearY];
    row.shiftX = row.shiftY = 0;
  }
  compute();
}

/** Rows that lie farther apart have no difference in which their own digits are left. */
const LARGEST_SHIFT = 2 ** 16;

function shiftX(row: PlacedRow): void {
  row.shiftX = shift(row, row.x, row.roomX);
  row.nearX = row.roomX;
}

/** Copies a row less its largest number, which it returns: Σ exp(t·x) is then between 1 and the vocabulary's size. */
function shift({ instance, size }: PlacedRow, from: number, to: number): number {
  const { kernels } = instance;
  const most = kernels.largest(from, size);
  kernels.offset(most, 0);
  kernels.centered(to, from, size, 1);
  return most;
}

/**
 * log Σ exp(t·x) of a row, after `sumsOfOne`, in two parts: t·(its largest number), and how far above that the logarithm is,
 * precise even where that is small; and Σ exp(t·x)·x / Σ exp(t·x), relative to the largest number.
 */
export function confidentSums({ instance, nearX, ex, size, t }: PlacedRow) {
  const { kernels, results } = instance;
  const most = kernels.largest(nearX, size);
  kernels.sumsBelow(nearX, ex, size, most);
  const one = Math.exp(t * most);
  const others = results[0]! / one + results[2]! - 1;
  return { most: t * most, above: Math.log1p(others), mean: results[1]! / one / (1 + others) };
}

import type { Machine } from "./machine.ts";

/** One row in the kernels' memory. All addresses are in bytes. */
export interface PlacedRow {
  readonly machine: Machine;
  /** Which row of the input this is. */
  index: number;
  readonly size: number;
  /** 1 / temperature. */
  readonly t: number;
  /** The model's row and the reference's, or copies of them. */
  x: number;
  y: number;
  /** Room for copies of them. */
  readonly copyX: number;
  readonly copyY: number;
  /** Room for exp(t·x) and exp(t·y). */
  readonly ex: number;
  readonly ey: number;
  /** Σ exp(t·x) and Σ exp(t·y) as given: of log-probabilities, what their probabilities sum to. */
  sumX: number;
  sumY: number;
}

/** The fast form of a `RowFormula`. */
export interface RowKernel {
  /** The row's value in nats. NaN or not finite: the kernel cannot tell, and the formula is to be used. */
  value(row: PlacedRow): number;
  /** Writes factor · d value / d logits to address g, or adds it. Called after `value`, for the same row. */
  gradient(row: PlacedRow, g: number, factor: number, add: boolean): void;
}

/**
 * Below this, in nats, values are computed once more, by sums in which nothing cancels. Above it the error of float32,
 * some 1e-7 of a nat, is below the 1e-6 that are promised.
 */
const CLOSE = 0.25;

/** The same for what depends on the largest probability of a row alone. */
const CONFIDENT = 0.5;

/** Sums of exponentials outside of this have lost digits to float32's range, or are about to. */
const [SMALLEST, LARGEST] = [1e-17, 1e30];

function ordinary(sum: number): boolean {
  return sum > SMALLEST && sum < LARGEST;
}

/** A number as the sum of two of float32. */
function split(k: number): [high: number, low: number] {
  const high = Math.fround(k);
  return [high, k - high];
}

/** exp(t·x) and its sums. A row beyond float32's range is replaced by one that has its largest number near 0. */
function sumsOfOne(row: PlacedRow): void {
  const { machine, ex, size, copyX } = row;
  const { kernels, results } = machine;
  kernels.sumsOfOne(row.x, ex, size);
  row.sumX = results[0]!;
  if (ordinary(row.sumX)) return;
  row.x = shift(row, row.x, copyX);
  kernels.sumsOfOne(row.x, ex, size);
}

/** The same of both rows; with `reverse` the results are those of the second row and the first. */
function sumsOfTwo(row: PlacedRow, reverse: boolean): void {
  const { machine, ex, ey, size, copyX, copyY } = row;
  const { kernels, results } = machine;
  const pass = () =>
    reverse ? kernels.sumsOfTwo(row.y, row.x, ey, ex, size) : kernels.sumsOfTwo(row.x, row.y, ex, ey, size);
  pass();
  row.sumX = results[reverse ? 1 : 0]!;
  row.sumY = results[reverse ? 0 : 1]!;
  if (ordinary(row.sumX) && ordinary(row.sumY)) return;
  if (!ordinary(row.sumX)) row.x = shift(row, row.x, copyX);
  if (!ordinary(row.sumY)) row.y = shift(row, row.y, copyY);
  pass();
}

/** A whole number is taken from a row of numbers that large that the difference has no more digits, where it matters. */
function shift({ machine, size }: PlacedRow, from: number, to: number): number {
  machine.kernels.shifted(to, from, size, Math.round(machine.kernels.largest(from, size)));
  return to;
}

/** KL(p‖q), or with `reverse` KL(q‖p): below, p is always the side that is summed over. */
export function klKernel(reverse: boolean): RowKernel {
  // Of the row at hand, from `value` to `gradient`.
  let [sumP, sumQ, logRatio, kl, error] = [0, 0, 0, 0, 0];
  let [close, careful] = [false, false];
  return {
    value(row) {
      const { machine, size, t } = row;
      const { kernels, results } = machine;
      sumsOfTwo(row, reverse);
      [sumP, sumQ] = [results[0]!, results[1]!];
      // log p − log q = t·(x − y) − log (Σ eˣ / Σ e^y)
      logRatio = Math.log(sumP / sumQ);
      kl = (t * results[2]!) / sumP - logRatio;
      // Numbers that are not finite, or rows so far apart that x − y has lost digits of what is left of it.
      careful = results[3]! > 0 || Math.abs(logRatio) > 4 * Math.sqrt(Math.max(0, kl));
      close = kl < Math.max(CLOSE, Math.abs(logRatio) / 2);
      if (!close) return kl;
      kernels.pair(t, 1 / sumP, 1 / sumQ);
      kernels.offset(...split(logRatio / t));
      if (reverse) kernels.closeKL(row.y, row.x, row.ey, row.ex, size, careful);
      else kernels.closeKL(row.x, row.y, row.ex, row.ey, size, careful);
      // Both distributions sum to 1; where Σ (q − p) is not 0 the log-ratio was off, by as much as float32 sums are.
      const excess = results[0]! + results[1]!;
      error = Math.log1p(excess);
      kl = Math.max(0, results[0]! - (excess - error));
      logRatio -= error;
      return kl;
    },
    gradient({ machine, x, y, ex, ey, size, t }, g, factor, add) {
      const { kernels } = machine;
      if (!reverse) {
        kernels.offset(...split((logRatio + kl) / t));
        kernels.gradientOfRatio(g, x, y, ex, size, (factor * t) / sumP, add, careful);
      } else if (close) {
        // ex holds q − p, of a q that is too large by the error.
        const [ofP, ofDifference] = [Math.expm1(-error), Math.exp(-error)];
        kernels.gradientOfTwo(g, ey, ex, size, (factor * ofP) / sumP, factor * ofDifference, add);
      } else {
        kernels.gradientOfTwo(g, ex, ey, size, factor / sumQ, -factor / sumP, add);
      }
    },
  };
}

/** −log p[target] of each row. */
export function crossEntropyKernel(targets: Int32Array): RowKernel {
  let [total, loss] = [0, 0];
  return {
    value(row) {
      const { machine, size, t, index } = row;
      const target = targets[index]!;
      if (!(target >= 0 && target < size)) return Number.NaN;
      sumsOfOne(row);
      total = machine.results[0]!;
      const logit = machine.floats[row.x / 4 + target]!;
      loss = Math.log(total) - t * logit;
      if (loss < CONFIDENT) {
        const most = machine.kernels.largest(row.x, size);
        machine.kernels.sumsBelow(row.x, size, most);
        loss = Math.log1p(machine.results[0]! + machine.results[2]! - 1) + t * (most - logit);
      }
      return loss;
    },
    gradient({ machine, ex, size, index }, g, factor, add) {
      const { floats, kernels } = machine;
      const at = g / 4 + targets[index]!;
      const before = add ? floats[at]! : 0;
      kernels.gradientOfExp(g, ex, size, factor / total, add);
      floats[at] = before + factor * Math.expm1(-loss);
    },
  };
}

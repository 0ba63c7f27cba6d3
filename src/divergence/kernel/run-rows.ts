import { NORMALIZATION_TOLERANCE } from "../not-normalized.ts";
import type { Instance } from "./instance.ts";
import type { PlacedRow, RowKernel } from "./row-kernel.ts";

/** Rows of a tensor: the address of the first row in the kernels' memory, or an array elsewhere, copied row by row. */
export type Rows = number | Float32Array;

/** What one call of the kernels computes. */
export interface RowRun {
  readonly size: number;
  /** 1 / temperature. */
  readonly t: number;
  /** Whether each side is logits, and whether log-probabilities are checked to sum to 1. */
  readonly logitsX: boolean;
  readonly logitsY: boolean;
  readonly check: boolean;
  readonly x: Rows;
  readonly y: Rows | undefined;
  /** Where each row's factor · gradient is written, or added; not for values above `clip`. */
  readonly g: Rows | undefined;
  readonly factors: Float64Array;
  readonly add: boolean;
  readonly clip: number;
  /** NaN for each row to compute. It becomes the value in nats, or stays NaN where the row is left to the formula. */
  readonly values: Float64Array;
}

/** Rows of scratch memory that a thread needs: copies of x, y and the gradient, exp(t·x), exp(t·y), and what `PlacedRow` has. */
const ROWS = 8;

/** The scratch memory of one thread in float32 numbers, in whole cache lines. */
export function roomFor(size: number): number {
  return ROWS * wholeLines(size);
}

/** `size` float32 numbers rounded up to whole cache lines. */
export function wholeLines(size: number): number {
  return Math.ceil(size / 16) * 16;
}

/**
 * Computes rows `from` to `to`, with `roomFor(size)` numbers of scratch memory at address `room`. Rows that are infinite, NaN
 * or not normalized are left to the formula.
 */
export function runRows(
  instance: Instance,
  kernel: RowKernel,
  run: RowRun,
  room: number,
  from: number,
  to: number,
): void {
  const { size, x, y, g, add, values, factors, check, logitsX, logitsY } = run;
  const { floats } = instance;
  const [copyX, copyY, copyEx, ey, copyG, w, roomX, roomY] = Array.from(
    { length: ROWS },
    (_, i) => room + 4 * i * wholeLines(size),
  ) as [number, number, number, number, number, number, number, number];
  const row: PlacedRow = {
    instance,
    index: 0,
    size,
    t: run.t,
    ...{ x: copyX, y: copyY, nearX: copyX, nearY: copyY, shiftX: 0, shiftY: 0 },
    ...{ roomX, roomY, ex: copyEx, ey, w },
    sumX: 1,
    sumY: 1,
    logitsX,
    vouchedY: !check && !logitsY,
  };
  const place = (rows: Rows, r: number, copy: number) => {
    if (typeof rows === "number") return rows + 4 * r * size;
    floats.set(rows.subarray(r * size, (r + 1) * size), copy / 4);
    return copy;
  };
  for (let r = from; r < to; r++) {
    if (!Number.isNaN(values[r]!)) continue;
    row.index = r;
    row.x = row.nearX = place(x, r, copyX);
    if (y !== undefined) row.y = row.nearY = place(y, r, copyY);
    row.shiftX = row.shiftY = 0;
    const into = typeof g === "number" ? g + 4 * r * size : copyG;
    // Not where numbers lie that are still needed.
    row.ex = g === undefined || add || into === row.x || into === row.y ? copyEx : into;
    const value = kernel.value(row);
    if (!Number.isFinite(value)) continue;
    if (check && !logitsX && !sumsToOne(row.sumX)) continue;
    if (check && !logitsY && y !== undefined && !sumsToOne(row.sumY)) continue;
    values[r] = value;
    if (g === undefined || value > run.clip) continue;
    const outside = typeof g === "number" ? undefined : g.subarray(r * size, (r + 1) * size);
    if (add && outside) floats.set(outside, into / 4);
    kernel.gradient(row, into, factors[r]!, add);
    outside?.set(floats.subarray(into / 4, into / 4 + size));
  }
}

/** With a margin: sums near the tolerance are left to the formula, which has more digits. */
function sumsToOne(sum: number): boolean {
  return Math.abs(sum - 1) < 0.9 * NORMALIZATION_TOLERANCE;
}

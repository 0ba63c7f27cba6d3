import { NORMALIZATION_TOLERANCE } from "../not-normalized.ts";
import type { Instance } from "./instance.ts";
import type { PlacedRow, RowKernel } from "./row-kernel.ts";

/** Where rows are: the address of the first in the kernels' memory, or numbers elsewhere, which are copied row by row. */
export type Rows = number | Float32Array;

/** What the kernels do in one call. */
export interface Pass {
  readonly size: number;
  /** 1 / temperature. */
  readonly t: number;
  /** Whether the sides are logits, and if not whether they are checked to sum to 1. */
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
  /** NaN for rows to compute, which get their value in nats, or stay NaN where they are left to the formula. */
  readonly values: Float64Array;
}

/** Rows of room that a thread needs: copies of x, y and the gradient, the exponentials of x and y, and one number more. */
const ROWS = 6;

/** How many numbers of room a thread needs, in whole cache lines. */
export function roomFor(size: number): number {
  return ROWS * wholeLines(size);
}

export function wholeLines(size: number): number {
  return Math.ceil(size / 16) * 16;
}

/**
 * Computes rows `from` to `to`, with room for `roomFor(size)` numbers at address `room`. Left to the formula is anything
 * infinite, NaN or not normalized.
 */
export function fastRows(
  instance: Instance,
  kernel: RowKernel,
  pass: Pass,
  room: number,
  from: number,
  to: number,
): void {
  const { size, x, y, g, add, values, factors, check, logitsX, logitsY } = pass;
  const { floats } = instance;
  const [copyX, copyY, copyEx, ey, copyG, w] = Array.from(
    { length: ROWS },
    (_, i) => room + 4 * i * wholeLines(size),
  ) as [number, number, number, number, number, number];
  const row: PlacedRow = {
    instance,
    index: 0,
    size,
    t: pass.t,
    x: copyX,
    y: copyY,
    copyX,
    copyY,
    ex: copyEx,
    ey,
    w,
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
    row.x = place(x, r, copyX);
    if (y !== undefined) row.y = place(y, r, copyY);
    const into = typeof g === "number" ? g + 4 * r * size : copyG;
    // Not where numbers lie that are still needed.
    row.ex = g === undefined || add || into === row.x || into === row.y ? copyEx : into;
    const value = kernel.value(row);
    if (!Number.isFinite(value)) continue;
    if (check && !logitsX && !sumsToOne(row.sumX)) continue;
    if (check && !logitsY && y !== undefined && !sumsToOne(row.sumY)) continue;
    values[r] = value;
    if (g === undefined || value > pass.clip) continue;
    const theirs = typeof g === "number" ? undefined : g.subarray(r * size, (r + 1) * size);
    if (add && theirs) floats.set(theirs, into / 4);
    kernel.gradient(row, into, factors[r]!, add);
    theirs?.set(floats.subarray(into / 4, into / 4 + size));
  }
}

/** Clearly so: what is near the tolerance is left to the formula, whose sums have more digits. */
function sumsToOne(sum: number): boolean {
  return Math.abs(sum - 1) < 0.9 * NORMALIZATION_TOLERANCE;
}

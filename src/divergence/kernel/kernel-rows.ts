import { NORMALIZATION_TOLERANCE } from "../not-normalized.ts";
import type { Settings } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { type Machine, theMachine } from "./machine.ts";
import type { PlacedRow, RowKernel } from "./row-kernel.ts";

/** The smallest vocabulary for which a call into the kernels costs less than it saves. */
const SMALLEST_VOCABULARY = 64;

/** Rows of room: copies of x, y and the gradient, and the exponentials of x and y. */
const ROWS = 5;

/** Whole cache lines. */
function roomFor(size: number): number {
  return Math.ceil(size / 16) * 16;
}

/** Clearly so: what is near the tolerance is left to the formula, whose sums have more digits. */
function sumsToOne(sum: number): boolean {
  return Math.abs(sum - 1) < 0.9 * NORMALIZATION_TOLERANCE;
}

/**
 * The rows of one call, one after another, for its kernel. Numbers in the kernels' memory are used where they are; others
 * are copied there and back, row by row, which the cache takes.
 */
export class KernelRows {
  readonly #kernel: RowKernel;
  readonly #p: Tensor;
  readonly #q: Tensor | undefined;
  readonly #set: Settings;
  readonly #machine: Machine;
  readonly #row: PlacedRow;
  readonly #copyG: number;

  /** Makes room for rows of this size, so that `open` moves nothing. */
  static makeRoom(kernel: RowKernel | undefined, size: number): void {
    if (kernel && size >= SMALLEST_VOCABULARY) theMachine()?.scratch(ROWS * roomFor(size));
  }

  /** Undefined where the kernel does not apply, or there are no kernels at all. */
  static open(kernel: RowKernel | undefined, p: Tensor, q: Tensor | undefined, set: Settings): KernelRows | undefined {
    const size = p.shape.at(-1)!;
    if (!kernel || size < SMALLEST_VOCABULARY || set.epsilon > 0) return undefined;
    // What log-probabilities sum to is known before the temperature, not after.
    if (set.inverseTemperature !== 1 && !(set.logits.p && (!q || set.logits.q))) return undefined;
    if (!(p.data instanceof Float32Array) || (q && !(q.data instanceof Float32Array))) return undefined;
    const machine = theMachine();
    return machine && new KernelRows(machine, kernel, p, q, set);
  }

  private constructor(machine: Machine, kernel: RowKernel, p: Tensor, q: Tensor | undefined, set: Settings) {
    const size = p.shape.at(-1)!;
    const t = set.inverseTemperature;
    const at = machine.scratch(ROWS * roomFor(size));
    const [copyX, copyY, ex, ey, copyG] = [0, 1, 2, 3, 4].map((i) => at + 4 * roomFor(size) * i);
    this.#machine = machine;
    this.#kernel = kernel;
    this.#p = p;
    this.#q = q;
    this.#set = set;
    this.#copyG = copyG!;
    this.#row = {
      machine,
      index: 0,
      size,
      t,
      x: copyX!,
      y: copyY!,
      copyX: copyX!,
      copyY: copyY!,
      ex: ex!,
      ey: ey!,
      sumX: 1,
      sumY: 1,
      logitsX: set.logits.p,
      vouchedY: !set.check && !set.logits.q,
    };
    machine.kernels.temperature(t);
  }

  /** The value of row r in nats. Undefined where it is left to the formula: anything infinite, NaN or not normalized. */
  value(r: number): number | undefined {
    const row = this.#row;
    row.index = r;
    row.x = this.#place(this.#p.data, r, row.copyX);
    if (this.#q) row.y = this.#place(this.#q.data, r, row.copyY);
    const value = this.#kernel.value(row);
    if (!Number.isFinite(value)) return undefined;
    const { check, logits } = this.#set;
    if (check && !logits.p && !sumsToOne(row.sumX)) return undefined;
    if (check && !logits.q && this.#q && !sumsToOne(row.sumY)) return undefined;
    return value;
  }

  /** Writes factor · gradient of the row that `value` was last called for, or adds it. */
  gradient(into: Float32Array, factor: number, add: boolean): void {
    const { index, size } = this.#row;
    const from = index * size;
    if (this.#machine.holds(into)) {
      this.#kernel.gradient(this.#row, into.byteOffset + 4 * from, factor, add);
      return;
    }
    const { floats } = this.#machine;
    const at = this.#copyG / 4;
    if (add) floats.set(into.subarray(from, from + size), at);
    this.#kernel.gradient(this.#row, this.#copyG, factor, add);
    into.set(floats.subarray(at, at + size), from);
  }

  #place(data: Float32Array, r: number, copy: number): number {
    const { size } = this.#row;
    if (this.#machine.holds(data)) return data.byteOffset + 4 * r * size;
    this.#machine.floats.set(data.subarray(r * size, (r + 1) * size), copy / 4);
    return copy;
  }
}

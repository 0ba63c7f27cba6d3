import type { Settings } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { runRowsInParallel } from "./parallel-rows.ts";
import type { RowKernel } from "./row-kernel.ts";
import { roomFor, runRows } from "./run-rows.ts";
import { memoryThatHolds, type WasmMemory, wasmMemory } from "./wasm-memory.ts";

/** The smallest vocabulary for which a call into the kernels costs less than it saves. */
const SMALLEST_VOCABULARY = 64;

/** Beyond these float32 has no numbers for some constants of the exponential function. */
const LOWEST_TEMPERATURE = 1e-7;
const HIGHEST_TEMPERATURE = 1e7;

/** About how many numbers of a side a thread takes at a time: some 20 µs of work, many times the cost of taking them. */
const CHUNK = 8192;

/** Where the gradients of rows are written or added, each times its factor. */
export interface Gradients {
  readonly into: Float32Array;
  readonly factors: Float64Array;
  readonly add: boolean;
}

/**
 * The rows of one call and their kernel. Numbers in the kernels' memory are used in place; others are copied there and back
 * row by row, within the cache.
 */
export class KernelRows {
  readonly #kernel: RowKernel;
  readonly #p: Tensor;
  readonly #q: Tensor | undefined;
  readonly #set: Settings;
  readonly #wasm: WasmMemory;

  /** Reserves scratch memory for rows of this size. Memory that grows moves, so this comes before any view is read. */
  static makeRoom(kernel: RowKernel, p: Tensor, q: Tensor | undefined, threads: number): void {
    const size = p.shape.at(-1)!;
    if (size >= SMALLEST_VOCABULARY) memoryFor(kernel, p, q, threads)?.scratch(roomFor(size));
  }

  /** Undefined where the kernel does not apply to these settings, or where there are no kernels at all. */
  static open(kernel: RowKernel, p: Tensor, q: Tensor | undefined, set: Settings): KernelRows | undefined {
    const size = p.shape.at(-1)!;
    const t = set.inverseTemperature;
    if (size < SMALLEST_VOCABULARY || set.epsilon > 0) return undefined;
    if (t > 1 / LOWEST_TEMPERATURE || t < 1 / HIGHEST_TEMPERATURE) return undefined;
    // The check that log-probabilities sum to 1 is of the input, before it is divided by the temperature.
    if (t !== 1 && !(set.logits.p && (!q || set.logits.q))) return undefined;
    if (!(p.data instanceof Float32Array) || (q && !(q.data instanceof Float32Array))) return undefined;
    const wasm = memoryFor(kernel, p, q, set.threads);
    return wasm && new KernelRows(wasm, kernel, p, q, set);
  }

  private constructor(wasm: WasmMemory, kernel: RowKernel, p: Tensor, q: Tensor | undefined, set: Settings) {
    this.#wasm = wasm;
    this.#kernel = kernel;
    this.#p = p;
    this.#q = q;
    this.#set = set;
  }

  /**
   * Replaces each NaN among `values` by the row's value in nats, and writes or adds the gradients of those rows, unless the
   * value is above `clip`. NaN stays, and nothing is written, where a row is left to the formula.
   *
   * @returns how many rows are left to the formula.
   */
  compute(values: Float64Array, gradients: Gradients | undefined): number {
    const { logits, check, clip, inverseTemperature: t } = this.#set;
    const wasm = this.#wasm;
    const size = this.#p.shape.at(-1)!;
    const place = (data: Float32Array) => (wasm.holds(data) ? data.byteOffset : data);
    const run = {
      ...{ size, t, check, clip, values, logitsX: logits.p, logitsY: logits.q },
      x: place(this.#p.data),
      y: this.#q && place(this.#q.data),
      g: gradients && place(gradients.into),
      factors: gradients?.factors ?? values,
      add: gradients?.add ?? false,
    };
    wasm.kernels.temperature(t);
    const chunk = Math.ceil(CHUNK / size);
    const { kind } = this.#kernel;
    const threads = wasm.shared && kind ? Math.min(this.#set.threads, Math.ceil(values.length / chunk)) : 1;
    if (kind && threads > 1) runRowsInParallel(wasm, kind, run, threads, chunk);
    else runRows(wasm, this.#kernel, run, wasm.scratch(roomFor(size)), 0, values.length);
    let left = 0;
    for (const value of values) if (Number.isNaN(value)) left++;
    return left;
  }
}

/** A kernel with the code that runs it, so that bundles of formulas without a kernel contain none of it. */
export interface OnKernels {
  makeRoom(p: Tensor, q: Tensor | undefined, threads: number): void;
  /** The same with another kernel, for modules that must not import this one. */
  readonly other: (kernel: RowKernel) => OnKernels;
  /** As `KernelRows.compute`; where the kernel does not apply, all rows are left to the formula. */
  compute(
    p: Tensor,
    q: Tensor | undefined,
    set: Settings,
    values: Float64Array,
    gradients: Gradients | undefined,
  ): void;
}

export function onKernels(kernel: RowKernel): OnKernels {
  return {
    other: onKernels,
    makeRoom: (p, q, threads) => KernelRows.makeRoom(kernel, p, q, threads),
    compute: (p, q, set, values, gradients) => KernelRows.open(kernel, p, q, set)?.compute(values, gradients),
  };
}

/** With several threads the shared memory; otherwise the memory that a tensor already lies in, if any. */
function memoryFor(kernel: RowKernel, p: Tensor, q: Tensor | undefined, threads: number): WasmMemory | undefined {
  const shared = threads > 1 && kernel.kind ? wasmMemory(true) : undefined;
  return shared ?? memoryThatHolds(p.data, ...(q ? [q.data] : [])) ?? wasmMemory();
}

import type { Settings } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import { fastRows, roomFor } from "./fast-rows.ts";
import { inThreads } from "./in-threads.ts";
import { type Machine, machineThatHolds, theMachine } from "./machine.ts";
import type { RowKernel } from "./row-kernel.ts";

/** The smallest vocabulary for which a call into the kernels costs less than it saves. */
const SMALLEST_VOCABULARY = 64;

/** About how many numbers of a side a thread takes at a time: some 20 µs of work, many times what it costs to take them. */
const CHUNK = 8192;

/** Where the gradients of rows go: each row's times its factor. */
export interface Gradients {
  readonly into: Float32Array;
  readonly factors: Float64Array;
  readonly add: boolean;
}

/**
 * The rows of one call, for its kernel. Numbers in the kernels' memory are used where they are; others are copied there and
 * back, row by row, which the cache takes.
 */
export class KernelRows {
  readonly #kernel: RowKernel;
  readonly #p: Tensor;
  readonly #q: Tensor | undefined;
  readonly #set: Settings;
  readonly #machine: Machine;

  /** Makes room for rows of this size, so that `open` and what follows moves nothing. */
  static makeRoom(kernel: RowKernel, p: Tensor, q: Tensor | undefined, threads: number): void {
    const size = p.shape.at(-1)!;
    if (size >= SMALLEST_VOCABULARY) machineFor(kernel, p, q, threads)?.scratch(roomFor(size));
  }

  /** Undefined where the kernel does not apply, or there are no kernels at all. */
  static open(kernel: RowKernel, p: Tensor, q: Tensor | undefined, set: Settings): KernelRows | undefined {
    const size = p.shape.at(-1)!;
    if (size < SMALLEST_VOCABULARY || set.epsilon > 0) return undefined;
    // What log-probabilities sum to is known before the temperature, not after.
    if (set.inverseTemperature !== 1 && !(set.logits.p && (!q || set.logits.q))) return undefined;
    if (!(p.data instanceof Float32Array) || (q && !(q.data instanceof Float32Array))) return undefined;
    const machine = machineFor(kernel, p, q, set.threads);
    return machine && new KernelRows(machine, kernel, p, q, set);
  }

  private constructor(machine: Machine, kernel: RowKernel, p: Tensor, q: Tensor | undefined, set: Settings) {
    this.#machine = machine;
    this.#kernel = kernel;
    this.#p = p;
    this.#q = q;
    this.#set = set;
  }

  /**
   * Replaces each NaN among `values` by the row's value in nats, and writes or adds the gradients of those rows, unless the
   * value is above `clip`. NaN stays, and nothing is written, where a row is left to the formula.
   */
  compute(values: Float64Array, gradients: Gradients | undefined): void {
    const { logits, check, clip, inverseTemperature: t } = this.#set;
    const machine = this.#machine;
    const size = this.#p.shape.at(-1)!;
    const place = (data: Float32Array) => (machine.holds(data) ? data.byteOffset : data);
    const pass = {
      ...{ size, t, check, clip, values, logitsX: logits.p, logitsY: logits.q },
      x: place(this.#p.data),
      y: this.#q && place(this.#q.data),
      g: gradients && place(gradients.into),
      factors: gradients?.factors ?? values,
      add: gradients?.add ?? false,
    };
    machine.kernels.temperature(t);
    const chunk = Math.ceil(CHUNK / size);
    const threads =
      machine.shared && this.#kernel.recipe ? Math.min(this.#set.threads, Math.ceil(values.length / chunk)) : 1;
    if (threads > 1) inThreads(machine, this.#kernel.recipe!, pass, threads, chunk);
    else fastRows(machine, this.#kernel, pass, machine.scratch(roomFor(size)), 0, values.length);
  }
}

/** A kernel with all that runs it, so that a formula without one needs nothing of it. */
export interface OnKernels {
  makeRoom(p: Tensor, q: Tensor | undefined, threads: number): void;
  /** Another kernel: what imports none can so give one to formulas that have theirs. */
  readonly other: (kernel: RowKernel) => OnKernels;
  /** As `KernelRows`; where that does not apply it leaves everything to the formula. */
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

/** With several threads the kernels whose memory they share, and else those whose memory a tensor lies in already. */
function machineFor(kernel: RowKernel, p: Tensor, q: Tensor | undefined, threads: number): Machine | undefined {
  const shared = threads > 1 && kernel.recipe ? theMachine(true) : undefined;
  return shared ?? machineThatHolds(p.data, ...(q ? [q.data] : [])) ?? theMachine();
}

import type { Instance } from "./instance.ts";
import { createKernel, KERNEL_NAMES } from "./kinds.ts";
import { roomFor, runRows } from "./run-rows.ts";

/**
 * @file How threads share a call, all of it in shared memory: words that synchronize, and numbers that describe the job. A call
 * is open or closed. A worker first counts itself as inside, then checks whether the call is open; the caller first closes the
 * call, then waits until no worker is inside. So the numbers change only while no worker reads them.
 */

/** The words, as indices: calls so far, whether one is open, workers inside, the next row, whether a worker failed. */
export const CALLS = 0;
export const OPEN = 1;
export const INSIDE = 2;
export const NEXT = 3;
export const FAILED = 4;
/** From here on, how many rows each thread has taken; thread 0 is the caller. */
export const TAKEN = 8;

/** The maximum number of threads of a call. */
export const MOST_THREADS = 64;

const WORDS = TAKEN + MOST_THREADS;

/** The numbers of a job. Addresses are in bytes; booleans are 1 or 0. */
const FIELDS = [
  // The kernel: an index into `KERNEL_NAMES`, its parameter, the address of its targets.
  ...(["kind", "parameter", "targets"] as const),
  // The number of threads, the rows, how many are taken at a time, and the threads' scratch memory, one after another.
  ...(["threads", "rows", "chunk", "rooms"] as const),
  // As in `RowRun`; the address 0 stands for undefined.
  ...(["size", "t", "logitsX", "logitsY", "check", "x", "y", "g", "factors", "add", "clip", "values"] as const),
  // The size of the memory in bytes.
  "bytes",
] as const;
export type SharedJob = Readonly<Record<(typeof FIELDS)[number], number>>;

/** The size of the words and the numbers. */
export const JOB_BYTES = 4 * WORDS + 8 * FIELDS.length;

export function wordsAt(buffer: ArrayBufferLike, at: number): Int32Array {
  return new Int32Array(buffer, at, WORDS);
}

export function writeJob(buffer: ArrayBufferLike, at: number, job: SharedJob): void {
  new Float64Array(buffer, at + 4 * WORDS).set(FIELDS.map((field) => job[field]));
}

export function readJob(buffer: ArrayBufferLike, at: number): SharedJob {
  const numbers = new Float64Array(buffer, at + 4 * WORDS);
  return Object.fromEntries(FIELDS.map((field, i) => [field, numbers[i]])) as SharedJob;
}

/** Takes rows and computes them until there are none left, as thread number `thread`. */
export function takeRows(instance: Instance, words: Int32Array, job: SharedJob, thread: number): void {
  const { rows, chunk, size, x, y, g, t, clip } = job;
  const { buffer } = instance.floats;
  const kernel = createKernel({
    name: KERNEL_NAMES[job.kind]!,
    parameter: job.parameter,
    targets: new Int32Array(buffer, job.targets, rows),
  });
  const run = {
    ...{ size, t, clip, x, y: y || undefined, g: g || undefined },
    logitsX: job.logitsX === 1,
    logitsY: job.logitsY === 1,
    check: job.check === 1,
    add: job.add === 1,
    factors: new Float64Array(buffer, job.factors, rows),
    values: new Float64Array(buffer, job.values, rows),
  };
  const room = job.rooms + 4 * roomFor(size) * thread;
  for (;;) {
    const from = Atomics.add(words, NEXT, chunk);
    if (from >= rows) return;
    const to = Math.min(from + chunk, rows);
    Atomics.add(words, TAKEN + thread, to - from);
    runRows(instance, kernel, run, room, from, to);
  }
}

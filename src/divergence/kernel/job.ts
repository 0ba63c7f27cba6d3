import { fastRows, roomFor } from "./fast-rows.ts";
import type { Instance } from "./instance.ts";
import { KINDS, kernelOf } from "./recipe.ts";

/**
 * @file How threads share a call. All of it is in shared memory: words that say where it stands, and numbers that say what to
 * do. A call is open or closed, and a worker inside is counted: one that comes counts itself first and looks then whether the
 * call is open; the caller closes it first and looks then whether anyone is inside. One of the two sees the other, so the
 * numbers change only where nobody looks at them.
 */

/** The words, as indices: how many calls there were, whether one is open, workers inside, the next row, whether one failed. */
export const CALLS = 0;
export const OPEN = 1;
export const INSIDE = 2;
export const NEXT = 3;
export const FAILED = 4;
/** From here on, how many rows each thread has taken; thread 0 is the caller. */
export const TAKEN = 8;

/** The most threads of a call. */
export const MOST_THREADS = 64;

const WORDS = TAKEN + MOST_THREADS;

/** What a call is about. Addresses are in bytes; truth is 1 or 0. */
const FIELDS = [
  // The kernel, and what it takes: an index into `KINDS`, a number, an address.
  ...(["kind", "parameter", "targets"] as const),
  // How many threads may come, the rows, how many are taken at a time, and each thread's room for rows, one after another.
  ...(["threads", "rows", "chunk", "rooms"] as const),
  // As in `Pass`, 0 for rows that there are none of.
  ...(["size", "t", "logitsX", "logitsY", "check", "x", "y", "g", "factors", "add", "clip", "values"] as const),
  // How many bytes the memory has.
  "bytes",
] as const;
export type Job = Readonly<Record<(typeof FIELDS)[number], number>>;

/** Room for both. */
export const JOB_BYTES = 4 * WORDS + 8 * FIELDS.length;

export function wordsAt(buffer: ArrayBufferLike, at: number): Int32Array {
  return new Int32Array(buffer, at, WORDS);
}

export function writeJob(buffer: ArrayBufferLike, at: number, job: Job): void {
  new Float64Array(buffer, at + 4 * WORDS).set(FIELDS.map((field) => job[field]));
}

export function readJob(buffer: ArrayBufferLike, at: number): Job {
  const numbers = new Float64Array(buffer, at + 4 * WORDS);
  return Object.fromEntries(FIELDS.map((field, i) => [field, numbers[i]])) as Job;
}

/** Takes rows and computes them as long as there are any, as thread number `thread`. */
export function takeRows(instance: Instance, words: Int32Array, job: Job, thread: number): void {
  const { rows, chunk, size, x, y, g, t, clip } = job;
  const { buffer } = instance.floats;
  const kernel = kernelOf({
    kind: KINDS[job.kind]!,
    parameter: job.parameter,
    targets: new Int32Array(buffer, job.targets, rows),
  });
  const pass = {
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
    fastRows(instance, kernel, pass, room, from, to);
  }
}

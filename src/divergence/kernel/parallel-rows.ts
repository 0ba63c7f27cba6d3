import { KERNEL_NAMES } from "./kinds.ts";
import type { KernelKind } from "./row-kernel.ts";
import { type RowRun, type Rows, roomFor, wholeLines } from "./run-rows.ts";
import type { WasmMemory } from "./wasm-memory.ts";
import { workerPool } from "./worker-pool.ts";

/** About how many numbers of a side are copied at a time, 8 MB. */
const SLAB = 2 ** 21;

/**
 * As `runRows` over all rows, in several threads that take `chunk` rows at a time. Arrays outside the shared memory are copied
 * there and back, one slab of rows at a time.
 */
export function runRowsInParallel(
  wasm: WasmMemory,
  kind: KernelKind,
  run: RowRun,
  threads: number,
  chunk: number,
): void {
  const { size, x, y, g, add, clip, values, factors } = run;
  const all = values.length;
  const copied = [x, y, g].filter((rows) => rows instanceof Float32Array).length;
  const most = copied === 0 ? all : Math.min(all, threads * chunk * Math.ceil(SLAB / (threads * chunk * size)));
  const numbers =
    threads * roomFor(size) + 2 * wholeLines(2 * most) + wholeLines(most) + copied * wholeLines(most * size);
  // Rounded up to a power of two: memory is never freed, so it must not grow by a little each time.
  let free = wasm.scratch(2 ** Math.ceil(Math.log2(numbers)));
  const take = (count: number) => {
    const at = free;
    free += 4 * wholeLines(count);
    return at;
  };
  const at = {
    rooms: take(threads * roomFor(size)),
    values: take(2 * most),
    factors: take(2 * most),
    targets: take(most),
  };
  const copies = [x, y, g].map((rows) => (rows instanceof Float32Array ? take(most * size) : 0));
  const { floats } = wasm;
  for (let from = 0; from < all; from += most) {
    const rows = Math.min(most, all - from);
    const slab = values.subarray(from, from + rows);
    const found = new Float64Array(floats.buffer, at.values, rows);
    found.set(slab);
    new Float64Array(floats.buffer, at.factors, rows).set(factors.subarray(from, from + rows));
    if (kind.targets) new Int32Array(floats.buffer, at.targets, rows).set(kind.targets.subarray(from, from + rows));
    const place = (numbers: Rows | undefined, copy: number, read: boolean) => {
      if (!(numbers instanceof Float32Array)) return numbers === undefined ? 0 : numbers + 4 * from * size;
      if (read) floats.set(numbers.subarray(from * size, (from + rows) * size), copy / 4);
      return copy;
    };
    const [atX, atY, atG] = [place(x, copies[0]!, true), place(y, copies[1]!, true), place(g, copies[2]!, add)];
    workerPool(wasm).run({
      ...{ kind: KERNEL_NAMES.indexOf(kind.name), parameter: kind.parameter, threads, rows, chunk, ...at },
      ...{ size, t: run.t, clip, x: atX, y: atY, g: atG, add: Number(add), check: Number(run.check) },
      ...{ logitsX: Number(run.logitsX), logitsY: Number(run.logitsY) },
    });
    if (g instanceof Float32Array) {
      for (let r = 0; r < rows; r++) {
        // Only rows whose gradient a thread has written.
        if (!Number.isNaN(slab[r]!) || !(found[r]! <= clip)) continue;
        const row = atG / 4 + r * size;
        g.set(floats.subarray(row, row + size), (from + r) * size);
      }
    }
    slab.set(found);
  }
}

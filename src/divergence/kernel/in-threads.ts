import { type Pass, type Rows, roomFor, wholeLines } from "./fast-rows.ts";
import type { Machine } from "./machine.ts";
import { KINDS } from "./recipe.ts";
import type { Recipe } from "./row-kernel.ts";
import { threadsOf } from "./threads.ts";

/** About how many numbers of a side are copied at a time, 8 MB. */
const SLAB = 2 ** 21;

/**
 * Computes all rows of a pass by several threads, which take `chunk` rows at a time. Numbers that lie elsewhere are copied to
 * the shared memory and back, some at a time.
 */
export function inThreads(machine: Machine, recipe: Recipe, pass: Pass, threads: number, chunk: number): void {
  const { size, x, y, g, add, clip, values, factors } = pass;
  const all = values.length;
  const copied = [x, y, g].filter((rows) => rows instanceof Float32Array).length;
  const most = copied === 0 ? all : Math.min(all, threads * chunk * Math.ceil(SLAB / (threads * chunk * size)));
  const numbers =
    threads * roomFor(size) + 2 * wholeLines(2 * most) + wholeLines(most) + copied * wholeLines(most * size);
  // Twice as much each time that it was not enough, since room is never given back.
  let free = machine.scratch(2 ** Math.ceil(Math.log2(numbers)));
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
  const { floats } = machine;
  for (let from = 0; from < all; from += most) {
    const rows = Math.min(most, all - from);
    const ours = values.subarray(from, from + rows);
    const found = new Float64Array(floats.buffer, at.values, rows);
    found.set(ours);
    new Float64Array(floats.buffer, at.factors, rows).set(factors.subarray(from, from + rows));
    if (recipe.targets) new Int32Array(floats.buffer, at.targets, rows).set(recipe.targets.subarray(from, from + rows));
    const place = (numbers: Rows | undefined, copy: number, read: boolean) => {
      if (!(numbers instanceof Float32Array)) return numbers === undefined ? 0 : numbers + 4 * from * size;
      if (read) floats.set(numbers.subarray(from * size, (from + rows) * size), copy / 4);
      return copy;
    };
    const [atX, atY, atG] = [place(x, copies[0]!, true), place(y, copies[1]!, true), place(g, copies[2]!, add)];
    threadsOf(machine).run({
      ...{ kind: KINDS.indexOf(recipe.kind), parameter: recipe.parameter, threads, rows, chunk, ...at },
      ...{ size, t: pass.t, clip, x: atX, y: atY, g: atG, add: Number(add), check: Number(pass.check) },
      ...{ logitsX: Number(pass.logitsX), logitsY: Number(pass.logitsY) },
    });
    if (g instanceof Float32Array) {
      for (let r = 0; r < rows; r++) {
        // Only what a thread has written.
        if (!Number.isNaN(ours[r]!) || !(found[r]! <= clip)) continue;
        const row = atG / 4 + r * size;
        g.set(floats.subarray(row, row + size), (from + r) * size);
      }
    }
    ours.set(found);
  }
}

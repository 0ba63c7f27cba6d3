import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, lanes, PARAMETERS, room } from "./lanes";

/** @file The k largest numbers of a row. */

/**
 * The k largest numbers of a row into `numbers`, largest first, and where they are into `ids`. Of equal ones the first comes
 * first.
 */
export function selectLargest(x: usize, size: i32, k: i32, numbers: usize, ids: usize): void {
  const own = room;
  for (let i = 0; i < k; i++) insert(load<f32>(x + <usize>i * F), i, i, k, numbers, ids);
  let i = k;
  // Nearly no number is larger than the smallest of those found so far: four are looked at at once.
  for (; i + 4 <= size; i += 4) {
    lanes(PARAMETERS, load<f32>(numbers + <usize>(k - 1) * F));
    const larger = f32x4.gt(v128.load(x + <usize>i * F), v128.load(own, PARAMETERS));
    if (!v128.any_true(larger)) continue;
    for (let j = i; j < i + 4; j++) insert(load<f32>(x + <usize>j * F), j, k, k, numbers, ids);
  }
  for (; i < size; i++) insert(load<f32>(x + <usize>i * F), i, k, k, numbers, ids);
}

/** Puts a number among the `filled` so far, behind those that are at least as large; the last one makes room. */
function insert(number: f32, id: i32, filled: i32, k: i32, numbers: usize, ids: usize): void {
  let at = filled;
  while (at > 0 && number > load<f32>(numbers + <usize>(at - 1) * F)) at--;
  if (at == k) return;
  const moved = <usize>(min(filled, k - 1) - at) * F;
  const to = <usize>at * F;
  memory.copy(numbers + to + F, numbers + to, moved);
  memory.copy(ids + to + F, ids + to, moved);
  store<f32>(numbers + to, number);
  store<i32>(ids + to, id);
}

/** Result 0: the sum of a row. */
export function sum(x: usize, size: i32): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfSum(x, BLOCK_BYTES);
    x += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfSum(x, bytes);
  if (rest > 0) blockOfSum(end(0, x + bytes, rest), 16);
}

function blockOfSum(x: usize, bytes: usize): void {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) sum = f32x4.add(sum, v128.load(x + i));
  addToResult(0, sum);
}

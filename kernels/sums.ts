import { allFit, exp, exponent, nothing, power } from "./exp";
import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, one, wherePossible } from "./lanes";

/**
 * @file First passes over a row: exponentials, kept for the passes after it, and their sums.
 *
 * Nearly all blocks are of finite numbers whose exponentials float32 has. That is found out on the way, by one operation
 * instead of the four that bring other numbers to order; a block that turns out otherwise is done again with those.
 */

/** Counts the blocks that were done again. */
const IRREGULAR = 3;

/** Of one row x: eˣ = exp(t·x) into `ex`, and the results 0: Σ eˣ, 1: Σ eˣ·x. */
export function sumsOfOne(x: usize, ex: usize, size: i32): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfOne(x, ex, BLOCK_BYTES);
    x += BLOCK_BYTES;
    ex += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfOne(x, ex, bytes);
  if (rest == 0) return;
  const endEx = end(1, ex + bytes, rest);
  blockOfOne(end(0, x + bytes, rest, -Infinity), endEx, 16);
  memory.copy(ex + bytes, endEx, <usize>rest * F);
}

function blockOfOne(x: usize, ex: usize, bytes: usize): void {
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let seen = i32x4.splat(0x4b400000);
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = v128.load(x + i);
    const bits = exponent(z);
    const e = power(z, bits);
    v128.store(ex + i, e);
    seen = v128.or(seen, bits);
    sum = f32x4.add(sum, e);
    moment = f32x4.add(moment, f32x4.mul(e, z));
  }
  if (!allFit(seen)) {
    irregularBlockOfOne(x, ex, bytes);
    return;
  }
  addToResult(0, sum);
  addToResult(1, moment);
}

function irregularBlockOfOne(x: usize, ex: usize, bytes: usize): void {
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = v128.load(x + i);
    const e = exp(z);
    v128.store(ex + i, e);
    sum = f32x4.add(sum, e);
    moment = f32x4.add(moment, f32x4.mul(e, wherePossible(z, z)));
  }
  addToResult(0, sum);
  addToResult(1, moment);
  addToResult(IRREGULAR, one());
}

/**
 * Of two rows: eˣ = exp(t·x) into `ex`, e^y = exp(t·y) into `ey`, and the results
 * 0: Σ eˣ, 1: Σ e^y, 2: Σ eˣ·(x − y), which is not finite where only y is impossible,
 * 3: above 0 if some numbers were not finite, or so small that their exponential is 0.
 */
export function sumsOfTwo(x: usize, y: usize, ex: usize, ey: usize, size: i32): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfTwo(x, y, ex, ey, BLOCK_BYTES);
    x += BLOCK_BYTES;
    y += BLOCK_BYTES;
    ex += BLOCK_BYTES;
    ey += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfTwo(x, y, ex, ey, bytes);
  if (rest == 0) return;
  const endX = end(0, x + bytes, rest, -Infinity);
  const endY = end(1, y + bytes, rest, -Infinity);
  const endEx = end(2, ex + bytes, rest);
  const endEy = end(3, ey + bytes, rest);
  blockOfTwo(endX, endY, endEx, endEy, 16);
  memory.copy(ex + bytes, endEx, <usize>rest * F);
  memory.copy(ey + bytes, endEy, <usize>rest * F);
}

function blockOfTwo(x: usize, y: usize, ex: usize, ey: usize, bytes: usize): void {
  let sumX = f32x4.splat(0);
  let sumY = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let seen = i32x4.splat(0x4b400000);
  for (let i: usize = 0; i < bytes; i += 16) {
    const zx = v128.load(x + i);
    const zy = v128.load(y + i);
    const bitsX = exponent(zx);
    const e = power(zx, bitsX);
    v128.store(ex + i, e);
    seen = v128.or(seen, bitsX);
    sumX = f32x4.add(sumX, e);
    moment = f32x4.add(moment, f32x4.mul(e, f32x4.sub(zx, zy)));
    const bitsY = exponent(zy);
    const f = power(zy, bitsY);
    v128.store(ey + i, f);
    seen = v128.or(seen, bitsY);
    sumY = f32x4.add(sumY, f);
  }
  if (!allFit(seen)) {
    irregularBlockOfTwo(x, y, ex, ey, bytes);
    return;
  }
  addToResult(0, sumX);
  addToResult(1, sumY);
  addToResult(2, moment);
}

function irregularBlockOfTwo(x: usize, y: usize, ex: usize, ey: usize, bytes: usize): void {
  let sumX = f32x4.splat(0);
  let sumY = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let far = i32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const zx = v128.load(x + i);
    const zy = v128.load(y + i);
    const e = exp(zx);
    const f = exp(zy);
    v128.store(ex + i, e);
    v128.store(ey + i, f);
    sumX = f32x4.add(sumX, e);
    sumY = f32x4.add(sumY, f);
    const difference = f32x4.sub(zx, zy);
    moment = f32x4.add(moment, f32x4.mul(e, wherePossible(difference, zx)));
    const isFar = f32x4.gt(f32x4.abs(difference), f32x4.splat(1e20));
    far = v128.or(far, v128.and(isFar, f32x4.gt(zx, nothing())));
  }
  addToResult(0, sumX);
  addToResult(1, sumY);
  // Too small a probability for float32, times too large a ratio to be nothing: left to the caller.
  addToResult(2, v128.any_true(far) ? f32x4.splat(NaN) : moment);
  addToResult(IRREGULAR, one());
}

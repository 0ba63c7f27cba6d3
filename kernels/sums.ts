import {
  allFit,
  constant,
  exp,
  exponent,
  HIGH,
  LOW,
  NEAR_ZERO,
  nothing,
  PER_STEP,
  power,
  ROUND,
  rest,
  restNearZero,
  SERIES,
} from "./exp";
import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, lanes, one, PARAMETERS, room, wherePossible } from "./lanes";

/**
 * @file First passes over a row: exponentials, kept for the passes after it, and their sums.
 *
 * Nearly all blocks are of finite numbers whose exponentials float32 has. That is found out on the way, by one operation
 * instead of the four that bring other numbers to order; a block that turns out otherwise is done again with those.
 */

/** The result that counts the blocks of two rows that were done again. */
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
  const perStep = constant(PER_STEP);
  const round = constant(ROUND);
  const high = constant(HIGH);
  const low = constant(LOW);
  const c0 = one();
  const c1 = constant(SERIES);
  const c2 = constant(SERIES + 1);
  const c3 = constant(SERIES + 2);
  const c4 = constant(SERIES + 3);
  const c5 = constant(SERIES + 4);
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = v128.load(x + i);
    const bits = exponent(z, perStep, round);
    const e = power(rest(z, bits, round, high, low), bits, c0, c1, c2, c3, c4, c5);
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
}

/**
 * Of two rows: eˣ = exp(t·x) into `ex`, e^y = exp(t·y) into `ey`, eˣ·(x − y) into `w`, and the results
 * 0: Σ eˣ, 1: Σ e^y, 2: Σ eˣ·(x − y), which is not finite where only y is impossible,
 * 3: above 0 if some numbers were not finite, or so small that their exponential is 0; `w` is not complete then.
 */
export function sumsOfTwo(x: usize, y: usize, ex: usize, ey: usize, w: usize, size: i32): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfTwo(x, y, ex, ey, w, BLOCK_BYTES);
    x += BLOCK_BYTES;
    y += BLOCK_BYTES;
    ex += BLOCK_BYTES;
    ey += BLOCK_BYTES;
    w += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfTwo(x, y, ex, ey, w, bytes);
  if (rest == 0) return;
  const endX = end(0, x + bytes, rest, -Infinity);
  const endY = end(1, y + bytes, rest, -Infinity);
  const endEx = end(2, ex + bytes, rest);
  const endEy = end(3, ey + bytes, rest);
  const endW = end(4, w + bytes, rest);
  blockOfTwo(endX, endY, endEx, endEy, endW, 16);
  memory.copy(ex + bytes, endEx, <usize>rest * F);
  memory.copy(ey + bytes, endEy, <usize>rest * F);
  memory.copy(w + bytes, endW, <usize>rest * F);
}

function blockOfTwo(x: usize, y: usize, ex: usize, ey: usize, w: usize, bytes: usize): void {
  let sumX = f32x4.splat(0);
  let sumY = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let seen = i32x4.splat(0x4b400000);
  const perStep = constant(PER_STEP);
  const round = constant(ROUND);
  const high = constant(HIGH);
  const low = constant(LOW);
  const c0 = one();
  const c1 = constant(SERIES);
  const c2 = constant(SERIES + 1);
  const c3 = constant(SERIES + 2);
  const c4 = constant(SERIES + 3);
  const c5 = constant(SERIES + 4);
  for (let i: usize = 0; i < bytes; i += 16) {
    const zx = v128.load(x + i);
    const zy = v128.load(y + i);
    const bitsX = exponent(zx, perStep, round);
    const e = power(rest(zx, bitsX, round, high, low), bitsX, c0, c1, c2, c3, c4, c5);
    v128.store(ex + i, e);
    seen = v128.or(seen, bitsX);
    sumX = f32x4.add(sumX, e);
    const share = f32x4.mul(e, f32x4.sub(zx, zy));
    v128.store(w + i, share);
    moment = f32x4.add(moment, share);
    const bitsY = exponent(zy, perStep, round);
    const f = power(rest(zy, bitsY, round, high, low), bitsY, c0, c1, c2, c3, c4, c5);
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
    far = v128.or(far, isFar(difference, zx));
  }
  addToResult(0, sumX);
  addToResult(1, sumY);
  // Too small a probability for float32, times too large a ratio to be nothing: left to the caller.
  addToResult(2, v128.any_true(far) ? f32x4.splat(NaN) : moment);
  addToResult(IRREGULAR, one());
}

/**
 * Of a row x and log-probabilities y that sum to 1, with z = x − k: e^z into `ez`, e^z·(z − y) into `w`, and the results
 * 0: Σ e^z, 1: Σ e^z·(z − y), which is not finite where only y is impossible.
 */
export function sumsAgainst(x: usize, y: usize, ez: usize, w: usize, size: i32, k: f32): void {
  clearResults();
  lanes(PARAMETERS, k);
  for (; size >= BLOCK; size -= BLOCK) {
    blockAgainst(x, y, ez, w, BLOCK_BYTES);
    x += BLOCK_BYTES;
    y += BLOCK_BYTES;
    ez += BLOCK_BYTES;
    w += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockAgainst(x, y, ez, w, bytes);
  if (rest == 0) return;
  const endEz = end(2, ez + bytes, rest);
  const endW = end(3, w + bytes, rest);
  blockAgainst(end(0, x + bytes, rest, -Infinity), end(1, y + bytes, rest, -Infinity), endEz, endW, 16);
  memory.copy(ez + bytes, endEz, <usize>rest * F);
  memory.copy(w + bytes, endW, <usize>rest * F);
}

function blockAgainst(x: usize, y: usize, ez: usize, w: usize, bytes: usize): void {
  const own = room;
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let seen = i32x4.splat(0x4b400000);
  const perStep = constant(PER_STEP);
  const round = constant(ROUND);
  const high = constant(HIGH);
  const c0 = one();
  const c1 = constant(NEAR_ZERO);
  const c2 = constant(NEAR_ZERO + 1);
  const c3 = constant(NEAR_ZERO + 2);
  const c4 = constant(NEAR_ZERO + 3);
  const c5 = constant(NEAR_ZERO + 4);
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = f32x4.sub(v128.load(x + i), v128.load(own, PARAMETERS));
    const bits = exponent(z, perStep, round);
    const e = power(restNearZero(z, bits, perStep, round, high), bits, c0, c1, c2, c3, c4, c5);
    v128.store(ez + i, e);
    seen = v128.or(seen, bits);
    sum = f32x4.add(sum, e);
    const share = f32x4.mul(e, f32x4.sub(z, v128.load(y + i)));
    v128.store(w + i, share);
    moment = f32x4.add(moment, share);
  }
  if (!allFit(seen)) {
    irregularBlockAgainst(x, y, ez, w, bytes);
    return;
  }
  addToResult(0, sum);
  addToResult(1, moment);
}

function irregularBlockAgainst(x: usize, y: usize, ez: usize, w: usize, bytes: usize): void {
  const own = room;
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let far = i32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = f32x4.sub(v128.load(x + i), v128.load(own, PARAMETERS));
    const e = exp(z);
    v128.store(ez + i, e);
    sum = f32x4.add(sum, e);
    const difference = f32x4.sub(z, v128.load(y + i));
    const share = f32x4.mul(e, wherePossible(difference, z));
    v128.store(w + i, share);
    moment = f32x4.add(moment, share);
    far = v128.or(far, isFar(difference, z));
  }
  addToResult(0, sum);
  // Too small a probability for float32, times too large a ratio to be nothing: left to the caller.
  addToResult(1, v128.any_true(far) ? f32x4.splat(NaN) : moment);
}

/**
 * Where a probability may be too small for float32 and its ratio too large for their product to be 0, or only the other side is
 * impossible.
 */
@inline
function isFar(difference: v128, z: v128): v128 {
  const large = v128.and(f32x4.gt(f32x4.abs(difference), f32x4.splat(1e20)), f32x4.gt(z, nothing()));
  return v128.or(large, f32x4.eq(difference, f32x4.splat(Infinity)));
}

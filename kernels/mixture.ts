import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, lanes, madd, one, PARAMETERS, room, wherePossible } from "./lanes";
import { A, logRatio, MINUS_T } from "./ratio";

/** @file The Jensen–Shannon divergence: from p and q − p, as `closeKL` leaves them, to their mixture m = β·p + (1 − β)·q. */

// Parameters, beside those of a pair of rows: β, 1 − β, and what `shape` is told.
const BETA: usize = PARAMETERS + 128;
const REST: usize = PARAMETERS + 144;
const SHAPE: usize = PARAMETERS + 160;

/** β, from above 0 to below 1. */
export function mixture(beta: f64): void {
  lanes(BETA, <f32>beta);
  lanes(REST, <f32>(1 - beta));
}

/** Coefficient i of 8 of H(z) / z²: with q = p·e^z, an outcome adds p·H(z) = p·((1 − β)·e^z·z − M·log M), M = m / p. */
export function shape(i: usize, value: f32): void {
  lanes(SHAPE + 16 * <usize>i, value);
}

const TINY = memory.data<f32>([1e-37, 1e-37, 1e-37, 1e-37], 16);
/** 0.7². */
const NEAR = memory.data<f32>([0.49, 0.49, 0.49, 0.49], 16);
const LN2 = memory.data<f32>([0.6931471805599453, 0.6931471805599453, 0.6931471805599453, 0.6931471805599453], 16);
/** √½, as bits. */
const HALF_OCTAVE = memory.data<i32>([0x3f3504f3, 0x3f3504f3, 0x3f3504f3, 0x3f3504f3], 16);
// The series of the area tangent: log((1 + s) / (1 − s)) = 2·s + s³·(2/3 + s²·(2/5 + …)).
const AREA = memory.data<f32>(
  [
    2, 2, 2, 2,
    0.6666666666666666, 0.6666666666666666, 0.6666666666666666, 0.6666666666666666,
    0.4, 0.4, 0.4, 0.4,
    0.2857142857142857, 0.2857142857142857, 0.2857142857142857, 0.2857142857142857,
    0.2222222222222222, 0.2222222222222222, 0.2222222222222222, 0.2222222222222222,
  ],
  16,
);

/** log(1 + a) for −1 < a ≤ 0: 1 + a = 2^n·(1 + f) with 1 + f from √½ to √2, and f = a, to the last digit, where n = 0. */
@inline
function log1p(a: v128): v128 {
  const bits = f32x4.add(one(), a);
  const n = i32x4.shr_s(i32x4.sub(bits, v128.load(HALF_OCTAVE)), 23);
  const reduced = f32x4.sub(i32x4.sub(bits, i32x4.shl(n, 23)), one());
  const f = v128.bitselect(reduced, a, i32x4.ne(n, i32x4.splat(0)));
  const s = f32x4.div(f, f32x4.add(f, v128.load(AREA)));
  const s2 = f32x4.mul(s, s);
  const high = madd(s2, madd(s2, v128.load(AREA, 64), v128.load(AREA, 48)), v128.load(AREA, 32));
  const series = madd(s2, madd(s2, high, v128.load(AREA, 16)), v128.load(AREA));
  return madd(f32x4.convert_i32x4_s(n), v128.load(LN2), f32x4.mul(s, series));
}

@inline
function shapeOf(own: usize, z: v128, z2: v128): v128 {
  const c = madd(z, v128.load(own, SHAPE + 16 * 7), v128.load(own, SHAPE + 16 * 6));
  const b = madd(z, v128.load(own, SHAPE + 16 * 5), v128.load(own, SHAPE + 16 * 4));
  const a = madd(z, v128.load(own, SHAPE + 16 * 3), v128.load(own, SHAPE + 16 * 2));
  const low = madd(z, v128.load(own, SHAPE + 16), v128.load(own, SHAPE));
  return madd(z2, madd(z2, madd(z2, c, b), a), low);
}

/**
 * Results 0: β·KL(p‖m) + (1 − β)·KL(q‖m), 1: KL(p‖m). After `closeKL` for the same rows, whose q − p in `ey` is replaced by
 * log p − log m.
 *
 * An outcome's share of result 0 is never below 0; where p and q are close its two terms cancel, and a series takes their place.
 */
export function mixed(x: usize, y: usize, ex: usize, ey: usize, size: i32, careful: bool): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfMixed(x, y, ex, ey, BLOCK_BYTES, careful);
    x += BLOCK_BYTES;
    y += BLOCK_BYTES;
    ex += BLOCK_BYTES;
    ey += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfMixed(x, y, ex, ey, bytes, careful);
  if (rest == 0) return;
  const endEy = end(3, ey + bytes, rest);
  blockOfMixed(end(0, x + bytes, rest), end(1, y + bytes, rest), end(2, ex + bytes, rest), endEy, 16, careful);
  memory.copy(ey + bytes, endEy, <usize>rest * F);
}

function blockOfMixed(x: usize, y: usize, ex: usize, ey: usize, bytes: usize, careful: bool): void {
  const own = room;
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const zx = v128.load(x + i);
    // log q − log p
    const z = f32x4.mul(logRatio(own, zx, v128.load(y + i), true), v128.load(own, MINUS_T));
    const z2 = f32x4.mul(z, z);
    const p = f32x4.mul(v128.load(ex + i), v128.load(own, A));
    const difference = v128.load(ey + i);
    const q = f32x4.add(p, difference);
    const below = f32x4.le(difference, f32x4.splat(0));
    // log m of the larger of p and q, from the share of the mixture that is the other's.
    const share = v128.bitselect(v128.load(own, REST), f32x4.neg(v128.load(own, BETA)), below);
    const larger = f32x4.pmax(f32x4.pmax(p, q), v128.load(TINY));
    const ofLarger = f32x4.neg(log1p(f32x4.div(f32x4.mul(share, difference), larger)));
    const isPossible = f32x4.gt(f32x4.pmin(p, q), f32x4.splat(0));
    const ofSmaller = v128.and(f32x4.sub(ofLarger, f32x4.abs(z)), isPossible);
    const ofP = v128.bitselect(ofLarger, ofSmaller, below);
    const ofQ = v128.bitselect(ofSmaller, ofLarger, below);
    const pOfP = f32x4.mul(p, ofP);
    const far = madd(pOfP, v128.load(own, BETA), f32x4.mul(f32x4.mul(q, ofQ), v128.load(own, REST)));
    const near = f32x4.mul(f32x4.mul(p, z2), shapeOf(own, z, z2));
    const isNear = wherePossible(f32x4.le(z2, v128.load(NEAR)), zx);
    sum = f32x4.add(sum, v128.bitselect(near, far, isNear));
    moment = f32x4.add(moment, pOfP);
    v128.store(ey + i, ofP);
  }
  addToResult(0, sum);
  addToResult(1, moment);
}

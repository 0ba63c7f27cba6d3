import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, lanes, madd, parameter, wherePossible } from "./lanes";

/**
 * @file Passes over two rows whose exponentials are known, by the log-ratio
 * δ = log p − log q = t·(x − y − k), with p = a·eˣ and q = b·e^y.
 */

// Parameters, as lanes.
const A = 0;
const B = 1;
const K_HIGH = 2;
const K_LOW = 3;
const MINUS_T = 4;
const SCALE = 5;

/** What belongs to a pair of rows; k is the sum of its two parts. */
export function pair(t: f32, a: f32, b: f32): void {
  lanes(MINUS_T, -t);
  lanes(A, a);
  lanes(B, b);
}

export function offset(high: f32, low: f32): void {
  lanes(K_HIGH, high);
  lanes(K_LOW, low);
}

/**
 * δ / t = x − y − k to the last digit: what rounding took from x − y is added back, so that two rows of logits may lie far apart.
 * 0 where x is impossible.
 */
@inline
function logRatio(x: v128, y: v128): v128 {
  const rounded = f32x4.sub(x, y);
  const ofX = f32x4.sub(rounded, x);
  const lost = f32x4.sub(f32x4.sub(x, f32x4.sub(rounded, ofX)), f32x4.add(y, ofX));
  const exact = f32x4.add(f32x4.sub(rounded, parameter(K_HIGH)), f32x4.sub(lost, parameter(K_LOW)));
  return wherePossible(exact, x);
}

// (e^z − 1 − z) / z² for |z| ≤ ½: minimax, within 3e-8.
const CURVE = memory.data<f32>(
  [
    0.0001987562838300939, 0.0001987562838300939, 0.0001987562838300939, 0.0001987562838300939,
    0.0013981997364818945, 0.0013981997364818945, 0.0013981997364818945, 0.0013981997364818945,
    0.008333452175165668, 0.008333452175165668, 0.008333452175165668, 0.008333452175165668,
    0.04166579594171239, 0.04166579594171239, 0.04166579594171239, 0.04166579594171239,
    0.16666665455819882, 0.16666665455819882, 0.16666665455819882, 0.16666665455819882,
    0.5000000120139733, 0.5000000120139733, 0.5000000120139733, 0.5000000120139733,
  ],
  16,
);
const QUARTER = memory.data<f32>([0.25, 0.25, 0.25, 0.25], 16);

@inline
function curve(z: v128, z2: v128): v128 {
  const low = madd(z, v128.load(CURVE, 64), v128.load(CURVE, 80));
  const middle = madd(z, v128.load(CURVE, 32), v128.load(CURVE, 48));
  const high = madd(z, v128.load(CURVE), v128.load(CURVE, 16));
  return madd(z2, madd(z2, high, middle), low);
}

/**
 * Results 0: Σ (p·δ − p + q), 1: −Σ p·δ.
 *
 * With exact normalizers the first is KL(p‖q). No term of it is below 0, and for small δ each is p·(e^−δ − 1 + δ) by a
 * polynomial: nothing cancels where p and q are close. Both together are Σ (q − p): what it is above 0 is the error of k.
 *
 * q − p, to the same precision, replaces e^y in `ey`.
 */
export function closeKL(x: usize, y: usize, ex: usize, ey: usize, size: i32): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfClose(x, y, ex, ey, BLOCK_BYTES);
    x += BLOCK_BYTES;
    y += BLOCK_BYTES;
    ex += BLOCK_BYTES;
    ey += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfClose(x, y, ex, ey, bytes);
  if (rest == 0) return;
  const endEy = end(3, ey + bytes, rest);
  blockOfClose(end(0, x + bytes, rest), end(1, y + bytes, rest), end(2, ex + bytes, rest), endEy, 16);
  memory.copy(ey + bytes, endEy, <usize>rest * F);
}

function blockOfClose(x: usize, y: usize, ex: usize, ey: usize, bytes: usize): void {
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const zx = v128.load(x + i);
    const z = f32x4.mul(logRatio(zx, v128.load(y + i)), parameter(MINUS_T));
    const z2 = f32x4.mul(z, z);
    const p = f32x4.mul(v128.load(ex + i), parameter(A));
    const pz = f32x4.mul(p, z);
    const near = f32x4.mul(f32x4.mul(p, z2), curve(z, z2));
    const difference = f32x4.sub(f32x4.mul(v128.load(ey + i), parameter(B)), p);
    // Where x is impossible δ is not 0 but −∞, and all of q is the difference.
    const isNear = wherePossible(f32x4.le(z2, v128.load(QUARTER)), zx);
    sum = f32x4.add(sum, v128.bitselect(near, f32x4.sub(difference, pz), isNear));
    moment = f32x4.add(moment, pz);
    v128.store(ey + i, v128.bitselect(f32x4.add(near, pz), difference, isNear));
  }
  addToResult(0, sum);
  addToResult(1, moment);
}

/** g = (g if `add`) + scale·eˣ·(x − y − k): the gradient of KL(p‖q), with what is subtracted from δ in k. */
export function gradientOfRatio(g: usize, x: usize, y: usize, ex: usize, size: i32, scale: f32, add: bool): void {
  lanes(SCALE, scale);
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  spanOfRatio(g, x, y, ex, bytes, add);
  if (rest == 0) return;
  const endG = end(0, g + bytes, rest);
  spanOfRatio(endG, end(1, x + bytes, rest), end(2, y + bytes, rest), end(3, ex + bytes, rest), 16, add);
  memory.copy(g + bytes, endG, <usize>rest * F);
}

function spanOfRatio(g: usize, x: usize, y: usize, ex: usize, bytes: usize, add: bool): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const scaled = f32x4.mul(v128.load(ex + i), parameter(SCALE));
    let gradient = f32x4.mul(scaled, logRatio(v128.load(x + i), v128.load(y + i)));
    if (add) gradient = f32x4.add(gradient, v128.load(g + i));
    v128.store(g + i, gradient);
  }
}

/** g = (g if `add`) + a·eˣ + b·e^y: the gradient of KL(q‖p), with the scale in a and b. */
export function gradientOfTwo(g: usize, ex: usize, ey: usize, size: i32, a: f32, b: f32, add: bool): void {
  lanes(A, a);
  lanes(B, b);
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  spanOfTwo(g, ex, ey, bytes, add);
  if (rest == 0) return;
  const endG = end(0, g + bytes, rest);
  spanOfTwo(endG, end(1, ex + bytes, rest), end(2, ey + bytes, rest), 16, add);
  memory.copy(g + bytes, endG, <usize>rest * F);
}

function spanOfTwo(g: usize, ex: usize, ey: usize, bytes: usize, add: bool): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    let gradient = madd(v128.load(ex + i), parameter(A), f32x4.mul(v128.load(ey + i), parameter(B)));
    if (add) gradient = f32x4.add(gradient, v128.load(g + i));
    v128.store(g + i, gradient);
  }
}

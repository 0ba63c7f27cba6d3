import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, lanes, madd, PARAMETERS, room, wherePossible } from "./lanes";

/**
 * @file Passes over two rows whose exponentials are known, by the log-ratio
 * δ = log p − log q = t·(x − y − k), with p = a·eˣ and q = b·e^y.
 */

// Parameters, as lanes: where they are.
export const A: usize = PARAMETERS;
const B: usize = PARAMETERS + 16;
export const K_HIGH: usize = PARAMETERS + 32;
export const K_LOW: usize = PARAMETERS + 48;
export const MINUS_T: usize = PARAMETERS + 64;
export const SCALE: usize = PARAMETERS + 80;

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
 * δ / t = x − y − k.
 *
 * If `careful` to the last digit, for rows of logits that lie far apart: what rounding took from x − y is added back; and 0
 * where x is impossible.
 */
@inline
export function logRatio(own: usize, x: v128, y: v128, careful: bool): v128 {
  if (!careful) return f32x4.sub(f32x4.sub(x, y), v128.load(own, K_HIGH));
  const rounded = f32x4.sub(x, y);
  const ofX = f32x4.sub(rounded, x);
  const lost = f32x4.sub(f32x4.sub(x, f32x4.sub(rounded, ofX)), f32x4.add(y, ofX));
  const exact = f32x4.add(f32x4.sub(rounded, v128.load(own, K_HIGH)), f32x4.sub(lost, v128.load(own, K_LOW)));
  return wherePossible(exact, x);
}

// (e^z − 1 − z) / z² for |z| ≤ 0.85: minimax, within 3e-8. Beyond, the difference loses less than a digit.
const CURVE = memory.data<f32>(
  [
    0.000024916934270547692, 0.000024916934270547692, 0.000024916934270547692, 0.000024916934270547692,
    0.0002019072492638397, 0.0002019072492638397, 0.0002019072492638397, 0.0002019072492638397,
    0.0013890160876728734, 0.0013890160876728734, 0.0013890160876728734, 0.0013890160876728734,
    0.008332077773585238, 0.008332077773585238, 0.008332077773585238, 0.008332077773585238,
    0.04166660972441685, 0.04166660972441685, 0.04166660972441685, 0.04166660972441685,
    0.16666677866613558, 0.16666677866613558, 0.16666677866613558, 0.16666677866613558,
    0.5000000027104547, 0.5000000027104547, 0.5000000027104547, 0.5000000027104547,
  ],
  16,
);
/** 0.85². */
const NEAR = memory.data<f32>([0.7225, 0.7225, 0.7225, 0.7225], 16);

@inline
function curve(z: v128, z2: v128): v128 {
  const low = madd(z, v128.load(CURVE, 80), v128.load(CURVE, 96));
  const middle = madd(z, v128.load(CURVE, 48), v128.load(CURVE, 64));
  const high = madd(z2, v128.load(CURVE), madd(z, v128.load(CURVE, 16), v128.load(CURVE, 32)));
  return madd(z2, madd(z2, high, middle), low);
}

/**
 * Results 0: Σ (p·δ − p + q), 1: −Σ p·δ.
 *
 * With exact normalizers the first is KL(p‖q). No term of it is below 0, and for small δ each is p·(e^−δ − 1 + δ) by a
 * polynomial: nothing cancels where p and q are close. Both together are Σ (q − p): what it is above 0 is the error of k.
 *
 * q − p, to the same precision, replaces e^y in `ey`, and p·(−δ) goes into `w`.
 */
export function closeKL(x: usize, y: usize, ex: usize, ey: usize, w: usize, size: i32, careful: bool): void {
  clearResults();
  for (; size >= BLOCK; size -= BLOCK) {
    blockOfClose(x, y, ex, ey, w, BLOCK_BYTES, careful);
    x += BLOCK_BYTES;
    y += BLOCK_BYTES;
    ex += BLOCK_BYTES;
    ey += BLOCK_BYTES;
    w += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockOfClose(x, y, ex, ey, w, bytes, careful);
  if (rest == 0) return;
  const endEy = end(3, ey + bytes, rest);
  const endW = end(4, w + bytes, rest);
  blockOfClose(end(0, x + bytes, rest), end(1, y + bytes, rest), end(2, ex + bytes, rest), endEy, endW, 16, careful);
  memory.copy(ey + bytes, endEy, <usize>rest * F);
  memory.copy(w + bytes, endW, <usize>rest * F);
}

function blockOfClose(x: usize, y: usize, ex: usize, ey: usize, w: usize, bytes: usize, careful: bool): void {
  if (careful) loopOfClose(x, y, ex, ey, w, bytes, true);
  else loopOfClose(x, y, ex, ey, w, bytes, false);
}

@inline
function loopOfClose(x: usize, y: usize, ex: usize, ey: usize, w: usize, bytes: usize, careful: bool): void {
  const own = room;
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const zx = v128.load(x + i);
    const z = f32x4.mul(logRatio(own, zx, v128.load(y + i), careful), v128.load(own, MINUS_T));
    const z2 = f32x4.mul(z, z);
    const p = f32x4.mul(v128.load(ex + i), v128.load(own, A));
    const pz = f32x4.mul(p, z);
    v128.store(w + i, pz);
    const near = f32x4.mul(f32x4.mul(p, z2), curve(z, z2));
    const difference = f32x4.sub(f32x4.mul(v128.load(ey + i), v128.load(own, B)), p);
    let isNear = f32x4.le(z2, v128.load(NEAR));
    // Where x is impossible δ is not 0 but −∞, and all of q is the difference.
    if (careful) isNear = wherePossible(isNear, zx);
    sum = f32x4.add(sum, v128.bitselect(near, f32x4.sub(difference, pz), isNear));
    moment = f32x4.add(moment, pz);
    v128.store(ey + i, v128.bitselect(f32x4.add(near, pz), difference, isNear));
  }
  addToResult(0, sum);
  addToResult(1, moment);
}

/**
 * g = (g if `add`) + scale·eˣ·(x − y − k), to the last digit: the gradient of KL(p‖q), with what is subtracted from δ in k. For
 * rows with numbers that are not finite, or that lie far apart.
 */
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
  const own = room;
  for (let i: usize = 0; i < bytes; i += 16) {
    const scaled = f32x4.mul(v128.load(ex + i), v128.load(own, SCALE));
    let gradient = f32x4.mul(scaled, logRatio(own, v128.load(x + i), v128.load(y + i), true));
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
  const own = room;
  for (let i: usize = 0; i < bytes; i += 16) {
    let gradient = madd(v128.load(ex + i), v128.load(own, A), f32x4.mul(v128.load(ey + i), v128.load(own, B)));
    if (add) gradient = f32x4.add(gradient, v128.load(g + i));
    v128.store(g + i, gradient);
  }
}

import { addToResult, BLOCK, BLOCK_BYTES, clearResults, end, F, lanes, one, PARAMETERS, room, wherePossible } from "./lanes";
import { K_HIGH, K_LOW, SCALE } from "./ratio";

/** @file Later passes over one row. */

/** The largest number of a row. NaN is passed over. */
export function largest(x: usize, size: i32): f32 {
  // pmax is one instruction, where max is many; and four of them need not wait for each other.
  let a = f32x4.splat(-Infinity);
  let b = a;
  let c = a;
  let d = a;
  for (; size >= 16; size -= 16) {
    a = f32x4.pmax(a, v128.load(x));
    b = f32x4.pmax(b, v128.load(x, 16));
    c = f32x4.pmax(c, v128.load(x, 32));
    d = f32x4.pmax(d, v128.load(x, 48));
    x += 64;
  }
  a = f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
  let most = max<f32>(
    max<f32>(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1)),
    max<f32>(f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3)),
  );
  for (; size > 0; size--) {
    const next = load<f32>(x);
    if (next > most) most = next;
    x += F;
  }
  return most;
}

/**
 * A confident row, without its largest number m, in which the digits of the others would drown:
 * 0: Σ eˣ over x < m, 1: Σ eˣ·(x − m), 2: how many are m.
 */
export function sumsBelow(x: usize, ex: usize, size: i32, most: f32): void {
  clearResults();
  lanes(PARAMETERS, most);
  for (; size >= BLOCK; size -= BLOCK) {
    blockBelow(x, ex, BLOCK_BYTES);
    x += BLOCK_BYTES;
    ex += BLOCK_BYTES;
  }
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  blockBelow(x, ex, bytes);
  if (rest > 0) blockBelow(end(0, x + bytes, rest, -Infinity), end(1, ex + bytes, rest), 16);
}

function blockBelow(x: usize, ex: usize, bytes: usize): void {
  const own = room;
  let sum = f32x4.splat(0);
  let moment = f32x4.splat(0);
  let count = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = v128.load(x + i);
    const below = f32x4.lt(z, v128.load(own, PARAMETERS));
    const e = v128.and(v128.load(ex + i), below);
    sum = f32x4.add(sum, e);
    moment = f32x4.add(moment, f32x4.mul(e, wherePossible(f32x4.sub(z, v128.load(own, PARAMETERS)), z)));
    count = f32x4.add(count, v128.andnot(one(), below));
  }
  addToResult(0, sum);
  addToResult(1, moment);
  addToResult(2, count);
}

/** g = (g if `add`) + scale·eˣ: the gradient of a cross-entropy, but for its target. */
export function gradientOfExp(g: usize, ex: usize, size: i32, scale: f32, add: bool): void {
  lanes(PARAMETERS, scale);
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  spanOfExp(g, ex, bytes, add);
  if (rest == 0) return;
  const endG = end(0, g + bytes, rest);
  spanOfExp(endG, end(1, ex + bytes, rest), 16, add);
  memory.copy(g + bytes, endG, <usize>rest * F);
}

function spanOfExp(g: usize, ex: usize, bytes: usize, add: bool): void {
  const own = room;
  for (let i: usize = 0; i < bytes; i += 16) {
    let gradient = f32x4.mul(v128.load(ex + i), v128.load(own, PARAMETERS));
    if (add) gradient = f32x4.add(gradient, v128.load(g + i));
    v128.store(g + i, gradient);
  }
}

/** to = t·(x − k): log-probabilities, or logits moved near 0. */
export function centered(to: usize, x: usize, size: i32, t: f32): void {
  lanes(SCALE, t);
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  spanOfCentered(to, x, bytes);
  if (rest == 0) return;
  const endX = end(0, x + bytes, rest);
  spanOfCentered(endX, endX, 16);
  memory.copy(to + bytes, endX, <usize>rest * F);
}

function spanOfCentered(to: usize, x: usize, bytes: usize): void {
  const own = room;
  for (let i: usize = 0; i < bytes; i += 16) {
    const z = f32x4.sub(f32x4.sub(v128.load(x + i), v128.load(own, K_HIGH)), v128.load(own, K_LOW));
    v128.store(to + i, f32x4.mul(z, v128.load(own, SCALE)));
  }
}

/** g = (g if `add`) + scale·eˣ·(z − k), 0 where z is −∞: the gradients of entropy (z = x) and of a mixture (z = log p − log m). */
export function gradientOfCentered(g: usize, z: usize, ex: usize, size: i32, scale: f32, add: bool): void {
  lanes(SCALE, scale);
  const rest = size & 3;
  const bytes = <usize>(size - rest) * F;
  spanOfGradientOfCentered(g, z, ex, bytes, add);
  if (rest == 0) return;
  const endG = end(0, g + bytes, rest);
  spanOfGradientOfCentered(endG, end(1, z + bytes, rest), end(2, ex + bytes, rest), 16, add);
  memory.copy(g + bytes, endG, <usize>rest * F);
}

function spanOfGradientOfCentered(g: usize, z: usize, ex: usize, bytes: usize, add: bool): void {
  const own = room;
  for (let i: usize = 0; i < bytes; i += 16) {
    const at = v128.load(z + i);
    const centered = f32x4.sub(f32x4.sub(at, v128.load(own, K_HIGH)), v128.load(own, K_LOW));
    let gradient = f32x4.mul(f32x4.mul(v128.load(ex + i), v128.load(own, SCALE)), wherePossible(centered, at));
    if (add) gradient = f32x4.add(gradient, v128.load(g + i));
    v128.store(g + i, gradient);
  }
}

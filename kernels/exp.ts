import { madd, nmadd, one } from "./lanes";

/** @file e^(t·x) in float32 lanes, for t = 1 / temperature: most of a divergence's time goes into this. */

/** 1.5·2^23 + 127: adding it rounds to a whole number, which then stands in the low bits as an exponent's bits. */
const ROUNDER: f32 = 12582912 + 127;
const LN2: f64 = 0.6931471805599453;

/** Where the constants lie that depend on the temperature, each as four equal lanes. */
const CONSTANTS: usize = 768;

/** Sets the temperature of everything that follows, as its inverse: for all threads, which work on the same rows. */
export function temperature(inverse: f64): void {
  const step = LN2 / inverse;
  // 12 bits, so that its product with an exponent is exact.
  const stepHigh = reinterpret<f32>(reinterpret<u32>(<f32>step) & 0xffff_f000);
  // From half a step beyond the exponent −127, which stands for 0, to half a step beyond 126.
  constant(0, -127.4 * step);
  constant(1, 126.4 * step);
  constant(2, 1 / step);
  constant(3, stepHigh);
  constant(4, step - <f64>stepHigh);
  // e^r = 1 + r·(minimax polynomial) on |r| ≤ ln 2 / 2, within 1e-7, for r = t·(what is left of x).
  const t2 = inverse * inverse;
  constant(5, inverse * 0.9999997036718916);
  constant(6, t2 * 0.49999142757393183);
  constant(7, t2 * inverse * 0.16667643941797897);
  constant(8, t2 * t2 * 0.04189885126346397);
  constant(9, t2 * t2 * inverse * 0.008290144181695843);
  constant(10, ROUNDER);
  constant(11, -1100 * step);
}

/** A constant as four equal lanes. */
@inline
function constant(which: usize, value: f64): void {
  v128.store(CONSTANTS + 16 * which, f32x4.splat(<f32>value));
}

/**
 * e^(t·x). 0 where float32 has no normal number (below e^−88; −∞ too). NaN stays NaN. Above e^87 it stays at some e^87: too
 * large to be used, which callers see in the sum.
 */
@inline
export function exp(x: v128): v128 {
  // pmax and pmin, not max and min: one instruction each, and in this order of arguments NaN passes.
  const within = f32x4.pmin(f32x4.pmax(x, v128.load(CONSTANTS)), v128.load(CONSTANTS, 16));
  return power(within, exponent(within));
}

/** t·x = n·ln 2 + r with a whole n and |r| ≤ ln 2 / 2: n + 127 as the low bits of a float32. */
@inline
export function exponent(x: v128): v128 {
  return madd(x, v128.load(CONSTANTS, 32), v128.load(CONSTANTS, 160));
}

/**
 * e^(t·x) = 2^n · e^r, of an x whose exponent fits.
 *
 * n·(ln 2 / t) is taken from x in two parts, the first of so few bits that the product is exact, and the polynomial has t in
 * its coefficients: neither a large x nor the temperature costs digits. Its form is the one of the shortest chain.
 */
@inline
export function power(x: v128, exponent: v128): v128 {
  const n = f32x4.sub(exponent, v128.load(CONSTANTS, 160));
  const r = nmadd(n, v128.load(CONSTANTS, 64), nmadd(n, v128.load(CONSTANTS, 48), x));
  const r2 = f32x4.mul(r, r);
  const low = madd(r, v128.load(CONSTANTS, 80), one());
  const middle = madd(r, v128.load(CONSTANTS, 112), v128.load(CONSTANTS, 96));
  const high = madd(r, v128.load(CONSTANTS, 144), v128.load(CONSTANTS, 128));
  const series = madd(r2, madd(r2, high, middle), low);
  return f32x4.mul(series, i32x4.shl(exponent, 23));
}

/** An x whose exponential is 0 in float64 too. */
@inline
export function nothing(): v128 {
  return v128.load(CONSTANTS, 176);
}

const FITTING = memory.data<i32>([0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000], 16);
const BEYOND = memory.data<i32>([-256, -256, -256, -256], 16);

/** Whether all exponents fitted that were ORed into `seen`: the numbers were finite, and e^(t·x) within float32's range. */
@inline
export function allFit(seen: v128): bool {
  return !v128.any_true(v128.and(v128.xor(seen, v128.load(FITTING)), v128.load(BEYOND)));
}

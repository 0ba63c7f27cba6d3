import { madd, one } from "./lanes";

/** @file e^(t·x) in float32 lanes, for t = 1 / temperature: most of a divergence's time goes into this. */

/** 1.5·2^23 + 127: adding it rounds to a whole number, which then stands in the low bits as an exponent's bits. */
const ROUNDER: f32 = 12582912 + 127;
const LN2: f64 = 0.6931471805599453;

/** Where the constants lie that depend on the temperature, each as four equal lanes. */
const CONSTANTS: usize = 768;
const LEAST = 0;
const MOST = 1;
export const PER_STEP = 2;
export const HIGH = 3;
export const LOW = 4;
export const ROUND = 5;
const NOTHING = 6;
/** Where the coefficients of the two series begin, five each: after `rest`, and after `restNearZero`. */
export const SERIES = 7;
export const NEAR_ZERO = 12;

/** Sets the temperature of everything that follows, as its inverse: for all threads, which work on the same rows. */
export function temperature(inverse: f64): void {
  const step = LN2 / inverse;
  // 12 bits, so that its product with an exponent is exact.
  const stepHigh = reinterpret<f32>(reinterpret<u32>(<f32>step) & 0xffff_f000);
  // From half a step beyond the exponent −127, which stands for 0, to half a step beyond 126.
  set(LEAST, -127.4 * step);
  set(MOST, 126.4 * step);
  set(PER_STEP, 1 / step);
  set(HIGH, ASC_FEATURE_RELAXED_SIMD ? step : stepHigh);
  set(LOW, step - <f64>stepHigh);
  series(SERIES, inverse);
  series(NEAR_ZERO, ASC_FEATURE_RELAXED_SIMD ? inverse : LN2);
  set(ROUND, ROUNDER);
  set(NOTHING, -1100 * step);
}

/** e^(unit·r) = 1 + r·(minimax polynomial) on |unit·r| ≤ ln 2 / 2, within 1e-7. */
function series(at: usize, unit: f64): void {
  const unit2 = unit * unit;
  set(at, unit * 0.9999997036718916);
  set(at + 1, unit2 * 0.49999142757393183);
  set(at + 2, unit2 * unit * 0.16667643941797897);
  set(at + 3, unit2 * unit2 * 0.04189885126346397);
  set(at + 4, unit2 * unit2 * unit * 0.008290144181695843);
}

/** A constant as four equal lanes. */
@inline
function set(which: usize, value: f64): void {
  v128.store(CONSTANTS + 16 * which, f32x4.splat(<f32>value));
}

/**
 * A constant of an exponential. A loop reads all of them before it begins, so that they stay in registers as far as
 * there are any: read within, the compiler reads them anew each time, since it cannot know that nothing writes there.
 */
@inline
export function constant(which: usize): v128 {
  return v128.load(CONSTANTS + 16 * which);
}

/**
 * e^(t·x). 0 where float32 has no normal number (below e^−88; −∞ too). NaN stays NaN. Above e^87 it stays at some e^87: too
 * large to be used, which callers see in the sum.
 */
@inline
export function exp(x: v128): v128 {
  // pmax and pmin, not max and min: one instruction each, and in this order of arguments NaN passes.
  const within = f32x4.pmin(f32x4.pmax(x, constant(LEAST)), constant(MOST));
  const perStep = constant(PER_STEP);
  const round = constant(ROUND);
  const bits = exponent(within, perStep, round);
  const r = rest(within, bits, round, constant(HIGH), constant(LOW));
  const c = SERIES;
  return power(r, bits, one(), constant(c), constant(c + 1), constant(c + 2), constant(c + 3), constant(c + 4));
}

/** t·x = n·ln 2 + r with a whole n and |r| ≤ ln 2 / 2: n + 127 as the low bits of a float32. */
@inline
export function exponent(x: v128, perStep: v128, round: v128): v128 {
  return madd(x, perStep, round);
}

/**
 * What is left of x beside its exponent: x − n·(ln 2 / t). The series has t in its coefficients.
 *
 * Fused, that is rounded once, and as good as float32 has the step: to 3e-9 of x for t = 1, to 3e-8 for others. Without, the step
 * is taken in two parts, the first of so few bits that its product with n is exact.
 */
@inline
export function rest(x: v128, exponent: v128, round: v128, high: v128, low: v128): v128 {
  const n = f32x4.sub(exponent, round);
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(n, high, x);
  return f32x4.sub(f32x4.sub(x, f32x4.mul(n, high)), f32x4.mul(n, low));
}

/**
 * The same for rows whose probable outcomes have an x near 0; of others, digits are lost. Without fused operations it is
 * x·(t / ln 2) − n, two operations less, and the series is that of its unit.
 */
@inline
export function restNearZero(x: v128, exponent: v128, perStep: v128, round: v128, high: v128): v128 {
  const n = f32x4.sub(exponent, round);
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_nmadd(n, high, x) : f32x4.sub(f32x4.mul(x, perStep), n);
}

/** 2^n · (1 + r·series): the form of the shortest chain. */
@inline
export function power(r: v128, exponent: v128, c0: v128, c1: v128, c2: v128, c3: v128, c4: v128, c5: v128): v128 {
  const r2 = f32x4.mul(r, r);
  const series = madd(r2, madd(r2, madd(r, c5, c4), madd(r, c3, c2)), madd(r, c1, c0));
  return f32x4.mul(series, i32x4.shl(exponent, 23));
}

/** An x whose exponential is 0 in float64 too. */
@inline
export function nothing(): v128 {
  return constant(NOTHING);
}

const FITTING = memory.data<i32>([0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000], 16);
const BEYOND = memory.data<i32>([-256, -256, -256, -256], 16);

/** Whether all exponents fitted that were ORed into `seen`: the numbers were finite, and e^(t·x) within float32's range. */
@inline
export function allFit(seen: v128): bool {
  return !v128.any_true(v128.and(v128.xor(seen, v128.load(FITTING)), v128.load(BEYOND)));
}

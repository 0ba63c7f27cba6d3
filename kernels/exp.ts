import { madd, nmadd, one } from "./lanes";

/** @file e^(t·x) in float32 lanes, for t = 1 / temperature: most of a divergence's time goes into this. */

/** 1.5·2^23 + 127: adding it rounds to a whole number, which then stands in the low bits as an exponent's bits. */
const ROUNDER: f32 = 12582912 + 127;
const LN2: f64 = 0.6931471805599453;

/** Where the constants lie that depend on the temperature, each as four equal lanes. */
const CONSTANTS: usize = 512;

/** Sets the temperature of everything that follows, as its inverse. */
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
  const t2 = inverse * inverse;
  // e^r − 1 = r + r²·(minimax polynomial) on |r| ≤ ln 2 / 2, within 3e-9 of e^r, for r = t·(what is left of x).
  constant(5, inverse);
  constant(6, t2 * 0.4999999345169259);
  constant(7, t2 * inverse * 0.1666652068978633);
  constant(8, t2 * t2 * 0.04166838736450559);
  constant(9, t2 * t2 * inverse * 0.008368709828482647);
  constant(10, t2 * t2 * t2 * 0.0013814613099839134);
  constant(11, ROUNDER);
}

@inline
function constant(which: usize, value: f64): void {
  v128.store(CONSTANTS + 16 * which, f32x4.splat(<f32>value));
}

/**
 * t·x = n·ln 2 + r with a whole n and |r| ≤ ln 2 / 2, so e^(t·x) = 2^n · e^r. n·(ln 2 / t) is taken from x in two parts, the
 * first of so few bits that the product is exact, and the polynomial has t in its coefficients: neither a large x nor the
 * temperature costs digits. Short chains of operations matter more here than few of them.
 *
 * 0 where float32 has no normal number (below e^−88; −∞ too). NaN stays NaN. Above e^87 it stays at some e^87: too large to
 * be used, which callers see in the sum.
 */
@inline
export function exp(x: v128): v128 {
  // pmax and pmin, not max and min: one instruction each, and in this order of arguments NaN passes.
  const within = f32x4.pmin(f32x4.pmax(x, v128.load(CONSTANTS)), v128.load(CONSTANTS, 16));
  const bits = madd(within, v128.load(CONSTANTS, 32), v128.load(CONSTANTS, 176));
  const n = f32x4.sub(bits, v128.load(CONSTANTS, 176));
  const r = nmadd(n, v128.load(CONSTANTS, 64), nmadd(n, v128.load(CONSTANTS, 48), within));
  const r2 = f32x4.mul(r, r);
  const low = madd(r2, madd(r, v128.load(CONSTANTS, 112), v128.load(CONSTANTS, 96)), f32x4.mul(r, v128.load(CONSTANTS, 80)));
  const high = madd(r2, v128.load(CONSTANTS, 160), madd(r, v128.load(CONSTANTS, 144), v128.load(CONSTANTS, 128)));
  const series = f32x4.add(one(), madd(f32x4.mul(r2, r2), high, low));
  return f32x4.mul(series, i32x4.shl(bits, 23));
}

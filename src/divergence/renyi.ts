import { type Divergence, divergence } from "./divergence.ts";
import { forward } from "./kl-divergence.ts";
import { within } from "./options.ts";
import { notNegative, type Row, type RowFormula } from "./row.ts";

export interface RenyiOptions {
  /** The order, a finite number of at least 0. 1 is KL(p‖q), 2 punishes large ratios harder. Default 2. */
  readonly alpha?: number;
}

/**
 * The Rényi divergence of order α: D = log(Σ p^α·q^(1−α)) / (α − 1).
 *
 * Its gradient is α/(α − 1)·(s − p), with s = p^α·q^(1−α) / Σ p^α·q^(1−α).
 *
 * Grows with α, and goes to KL(p‖q) as α goes to 1. For α > 1 it is +∞ where q = 0 < p; for α < 1 only if no outcome is
 * possible on both sides. Shapes, options and errors as `klDivergence`.
 *
 * @example renyi(p, q, { alpha: 2 }); // 0.18232 for [.4, .3, .2, .1] and uniform
 * @see Rényi 1961, On Measures of Entropy and Information; van Erven & Harremoës 2014
 */
export const renyi: Divergence<RenyiOptions> = /* @__PURE__ */ divergence<RenyiOptions>(({ alpha = 2 }) => {
  within("alpha", alpha, alpha >= 0 && alpha < Number.POSITIVE_INFINITY, "a finite number, at least 0");
  return alpha === 1 ? forward : renyiRow(alpha);
});

/**
 * With c = (α − 1)·(log p − log q), D = log(Σ p·exp c) / (α − 1). Near α = 1 or p = q all c are small and the sum is close
 * to 1: log1p(Σ p·expm1 c) keeps the digits. Otherwise exp could overflow, and the largest exponent is taken out.
 */
function renyiRow(alpha: number): RowFormula {
  return ({ p, logP, logQ, gradient }: Row) => {
    let size = 0;
    let max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < p.length; i++) {
      if (p[i] === 0) continue;
      const c = (alpha - 1) * (logP[i]! - logQ[i]!);
      size = Math.max(size, Math.abs(c));
      max = Math.max(max, logP[i]! + c);
    }
    // +∞: impossible in q though possible in p. −∞: nothing is possible in both.
    if (Math.abs(max) === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const small = size < 1;
    if (small) max = 0;
    let sum = 0;
    for (let i = 0; i < p.length; i++) {
      if (p[i] === 0) continue;
      const c = (alpha - 1) * (logP[i]! - logQ[i]!);
      sum += small ? p[i]! * Math.expm1(c) : Math.exp(logP[i]! + c - max);
    }
    const logSum = small ? Math.log1p(sum) : max + Math.log(sum);
    if (gradient) {
      const factor = alpha / (alpha - 1);
      for (let i = 0; i < p.length; i++) {
        // s − p = p·(exp(c − log Σ) − 1): without it, the difference of nearly equal numbers is divided by α − 1.
        const c = (alpha - 1) * (logP[i]! - logQ[i]!) - logSum;
        gradient[i] = p[i] === 0 ? 0 : factor * (small ? p[i]! * Math.expm1(c) : Math.exp(logP[i]! + c) - p[i]!);
      }
    }
    return notNegative(logSum / (alpha - 1));
  };
}

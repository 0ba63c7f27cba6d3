import { type Divergence, divergence } from "./divergence.ts";
import { klPQ } from "./kl-divergence.ts";
import { DIVERGENCE_DEFAULTS, within } from "./options.ts";
import { notNegative, type Row, type RowFormula } from "./row.ts";

/** Settings of `renyi`, beside those of all divergences. */
export interface RenyiOptions {
  /** The order, from 0 to 1e200. 1 is KL(p‖q), 2 weighs large ratios more heavily. Default 2. */
  readonly alpha?: number;
}

/** Any log-ratio of float32 log-probabilities times this is finite in float64. */
const HIGHEST_ORDER = 1e200;

/** The default of each option of `renyi`. */
export const RENYI_DEFAULTS = { ...DIVERGENCE_DEFAULTS, alpha: 2 } as const;

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
export const renyi: Divergence<RenyiOptions> = /* @__PURE__ */ divergence<RenyiOptions>(
  ({ alpha = RENYI_DEFAULTS.alpha }) => {
    within("alpha", alpha, alpha >= 0 && alpha <= HIGHEST_ORDER, `a number from 0 to ${HIGHEST_ORDER}`);
    return alpha === 1 ? klPQ : renyiRow(alpha);
  },
);

/**
 * With c = (α − 1)·(log p − log q), D = log(Σ p·exp c) / (α − 1). Near α = 1 or p = q all c are small and the sum is close
 * to 1: log1p(Σ p·expm1 c) is precise. Otherwise exp could overflow, and the largest exponent is factored out. A p that is too
 * small for float64 counts all the same: for α > 1 its outcome may have the largest exponent.
 */
function renyiRow(alpha: number): RowFormula {
  return ({ p, logP, logQ, gradient }: Row) => {
    let size = 0;
    let max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < p.length; i++) {
      if (logP[i] === Number.NEGATIVE_INFINITY) continue;
      const c = (alpha - 1) * (logP[i]! - logQ[i]!);
      size = Math.max(size, Math.abs(c));
      max = Math.max(max, logP[i]! + c);
    }
    // +∞: an outcome is possible in p and not in q. −∞: no outcome is possible in both.
    if (Math.abs(max) === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const small = size < 1;
    if (small) max = 0;
    let sum = 0;
    for (let i = 0; i < p.length; i++) {
      if (logP[i] === Number.NEGATIVE_INFINITY) continue;
      const c = (alpha - 1) * (logP[i]! - logQ[i]!);
      sum += small ? p[i]! * Math.expm1(c) : Math.exp(logP[i]! + c - max);
    }
    const logSum = small ? Math.log1p(sum) : max + Math.log(sum);
    if (gradient) {
      const factor = alpha / (alpha - 1);
      for (let i = 0; i < p.length; i++) {
        // s − p = p·(exp(c − log Σ) − 1): without it, the difference of nearly equal numbers is divided by α − 1.
        const c = (alpha - 1) * (logP[i]! - logQ[i]!);
        if (logP[i] === Number.NEGATIVE_INFINITY) gradient[i] = 0;
        else
          gradient[i] = factor * (small ? p[i]! * Math.expm1(c - logSum) : Math.exp(logP[i]! + c - max) / sum - p[i]!);
      }
    }
    return notNegative(logSum / (alpha - 1));
  };
}

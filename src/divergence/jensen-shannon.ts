import { type Divergence, divergence } from "./divergence.ts";
import { jensenShannonKernel } from "./kernel/jensen-shannon-kernel.ts";
import { onKernels } from "./kernel/kernel-rows.ts";
import { DIVERGENCE_DEFAULTS, within } from "./options.ts";
import { notNegative, type Row, type RowFormula } from "./row.ts";

/** Settings of `jensenShannon`, beside those of all divergences. */
export interface JensenShannonOptions {
  /** The model's share of the mixture, from 0 to 1. Default 0.5. */
  readonly beta?: number;
}

/** The default of each option of `jensenShannon`. */
export const JENSEN_SHANNON_DEFAULTS = { ...DIVERGENCE_DEFAULTS, beta: 0.5 } as const;

/**
 * The Jensen–Shannon divergence, with skew β: how far both distributions are from their mixture m = β·p + (1 − β)·q.
 *
 * JS = β·KL(p‖m) + (1 − β)·KL(q‖m), its gradient β·p·(log p − log m − KL(p‖m)).
 *
 * Always finite: at most the entropy of the coin (β, 1 − β), which is ln 2 for β = 0.5. It goes to 0 as β goes to 0 or 1
 * (some trainers put KL there instead; divide by β·(1 − β) to get that limit).
 *
 * Shapes, options and errors as `klDivergence`.
 *
 * @example jensenShannon(p, q); // the same as klDivergence(p, q, { symmetric: true })
 * @see Lin 1991, Divergence Measures Based on the Shannon Entropy
 */
export const jensenShannon: Divergence<JensenShannonOptions> = /* @__PURE__ */ divergence<JensenShannonOptions>(
  ({ beta = JENSEN_SHANNON_DEFAULTS.beta }) => {
    within("beta", beta, beta >= 0 && beta <= 1, "a number from 0 to 1");
    return jensenShannonRow(beta);
  },
);

/** The smallest share in the mixture at which the kernels are within 5e-6 of the formula. */
const SMALLEST_SHARE = 0.1;

/** The formula for one row. */
export function jensenShannonRow(beta: number): RowFormula {
  // At both ends the mixture is one of the two, and the divergence 0 whatever they are; NaN stays NaN.
  if (beta === 0 || beta === 1) return zeroRow;
  const formula = ({ p, logP, q, logQ, gradient }: Row) => {
    let fromP = 0;
    let fromQ = 0;
    for (let i = 0; i < p.length; i++) {
      // log(m / p) or log(m / q), of the larger one: exactly 0 where p = q, and always finite.
      const pAbove = p[i]! >= q[i]!;
      const step = pAbove ? logMixture(beta, p[i]!, q[i]!) : logMixture(1 - beta, q[i]!, p[i]!);
      const pOverM = pAbove ? -step : logP[i]! - logQ[i]! - step;
      const qOverM = pAbove ? logQ[i]! - logP[i]! - step : -step;
      if (p[i] !== 0) fromP += p[i]! * pOverM;
      if (q[i] !== 0) fromQ += q[i]! * qOverM;
      if (gradient) gradient[i] = pOverM;
    }
    if (gradient)
      for (let i = 0; i < p.length; i++) gradient[i] = p[i] === 0 ? 0 : beta * p[i]! * (gradient[i]! - fromP);
    return notNegative(beta * fromP + (1 - beta) * fromQ);
  };
  // Near the ends the divergence is a small difference of its terms, for which float32 is not precise enough.
  if (Math.min(beta, 1 - beta) < SMALLEST_SHARE) return formula;
  return Object.assign(formula, { kernel: onKernels(jensenShannonKernel(beta)) });
}

/** log((w·larger + (1 − w)·smaller) / larger), precise where both are close and where w is small. */
function logMixture(w: number, larger: number, smaller: number): number {
  if (smaller > larger / 2) return Math.log1p((1 - w) * ((smaller - larger) / larger));
  return Math.log(w + (1 - w) * (smaller / larger));
}

function zeroRow({ p, q, gradient }: Row): number {
  gradient?.fill(0);
  return 0 * p[0]! * q[0]!;
}

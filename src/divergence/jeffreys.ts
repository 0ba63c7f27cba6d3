import { type Divergence, divergence } from "./divergence.ts";
import { notNegative, type Row, sumOfLogRatios } from "./row.ts";

/**
 * The Jeffreys divergence as the mean of the two KL divergences (Jeffreys' own is their sum). Symmetric, and unbounded:
 * it is not the Jensen–Shannon divergence.
 *
 * J = (KL(p‖q) + KL(q‖p)) / 2 = Σ (p − q)·(log p − log q) / 2, its gradient (p·(log p − log q − KL(p‖q)) + p − q) / 2.
 *
 * Shapes, options and errors as `klDivergence`.
 *
 * @example jeffreys(p, q) === (klDivergence(p, q) + klDivergence(q, p)) / 2 // up to rounding
 * @see Jeffreys 1946, An Invariant Form for the Prior Probability in Estimation Problems
 */
export const jeffreys: Divergence = /* @__PURE__ */ divergence(() => jeffreysRow);

function jeffreysRow({ p, logP, q, logQ, gradient }: Row): number {
  const klPQ = sumOfLogRatios(p, logP, logQ);
  if (gradient) {
    for (let i = 0; i < p.length; i++) {
      const ofPQ = p[i] === 0 ? 0 : p[i]! * (logP[i]! - logQ[i]! - klPQ);
      gradient[i] = (ofPQ + p[i]! - q[i]!) / 2;
    }
  }
  return notNegative((klPQ + sumOfLogRatios(q, logQ, logP)) / 2);
}

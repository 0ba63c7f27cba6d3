import { type Divergence, divergence } from "./divergence.ts";
import { notNegative, type Row } from "./row.ts";

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
  let forward = 0;
  let reverse = 0;
  for (let i = 0; i < p.length; i++) {
    if (p[i] !== 0) forward += p[i]! * (logP[i]! - logQ[i]!);
    if (q[i] !== 0) reverse += q[i]! * (logQ[i]! - logP[i]!);
  }
  if (gradient) {
    for (let i = 0; i < p.length; i++) {
      const ofForward = p[i] === 0 ? 0 : p[i]! * (logP[i]! - logQ[i]! - forward);
      gradient[i] = (ofForward + p[i]! - q[i]!) / 2;
    }
  }
  return notNegative((forward + reverse) / 2);
}

import { type Divergence, divergence } from "./divergence.ts";
import type { Row } from "./row.ts";

/**
 * The total variation distance: the largest difference in probability that p and q give to any set of outcomes.
 *
 * TV = Σ |p − q| / 2, its gradient p·(s − Σ p·s) with s = sign(p − q) / 2 (a subgradient where p = q: s = 0).
 *
 * From 0 to 1, not in nats. Pinsker: 2·TV² ≤ KL. Shapes, options and errors as `klDivergence`.
 *
 * @example totalVariation(p, q); // 0.2 for [.4, .3, .2, .1] and uniform
 * @see Cover & Thomas 2006, Elements of Information Theory, 11.6
 */
export const totalVariation: Divergence = /* @__PURE__ */ divergence(() => totalVariationRow);

function totalVariationRow({ p, q, gradient }: Row): number {
  let sum = 0;
  let mean = 0;
  for (let i = 0; i < p.length; i++) {
    const difference = p[i]! - q[i]!;
    sum += Math.abs(difference);
    mean += (p[i]! * Math.sign(difference)) / 2;
  }
  if (gradient) for (let i = 0; i < p.length; i++) gradient[i] = p[i]! * (Math.sign(p[i]! - q[i]!) / 2 - mean);
  return sum / 2;
}

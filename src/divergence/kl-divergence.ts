import { type Divergence, divergence } from "./divergence.ts";
import { jensenShannonRow } from "./jensen-shannon.ts";
import { onKernels } from "./kernel/kernel-rows.ts";
import { klKernel } from "./kernel/kl-kernel.ts";
import { oneOf } from "./options.ts";
import { notNegative, type Row } from "./row.ts";

/** Which way a KL divergence looks. */
export type Direction = "forward" | "reverse";

export interface KLOptions {
  /**
   * `"forward"` is KL(p‖q) = KL(model‖reference), mode-seeking; `"reverse"` is KL(q‖p) = KL(reference‖model), mode-covering.
   * Default `"forward"`. Other texts use both words in either sense: read the formula.
   */
  readonly direction?: Direction;
  /** The Jensen–Shannon divergence instead, which looks both ways. Default false. */
  readonly symmetric?: boolean;
}

/**
 * The Kullback–Leibler divergence of the model's distributions p from the reference's q.
 *
 * KL(p‖q) = Σ p·(log p − log q), its gradient p·(log p − log q − KL).
 * KL(q‖p) = Σ q·(log q − log p), its gradient p − q.
 *
 * An outcome of probability 0 on the first side contributes exactly 0; one that is possible there and impossible on the
 * other makes the row's value +∞ (see `epsilon` and `clip`). At least 0, and 0 only at equality. NaN in, NaN out.
 *
 * @param p the model, `q` the reference: [..., V], same shape; natural log-probabilities, or logits with `input: "logits"`.
 * A reference known at k tokens is a `topK`: the value is then a lower bound, and its `coverage` is returned too.
 * @returns nats: a number, or with `reduction: "none"` a tensor [...] of one value per row.
 * @throws RangeError for differing shapes, bad weights or settings; NotNormalizedError for rows that do not sum to 1.
 * @example
 * const p = tensor([0.4, 0.3, 0.2, 0.1].map(Math.log), [1, 4]);
 * const q = tensor([0.25, 0.25, 0.25, 0.25].map(Math.log), [1, 4]);
 * klDivergence(p, q); // 0.10644
 * klDivergence(p, q, { direction: "reverse" }); // 0.12178
 * klDivergence.withGradient(p, q).gradient; // [[0.1454, 0.0228, −0.0659, −0.1023]]
 * @see Kullback & Leibler 1951, On Information and Sufficiency
 */
export const klDivergence: Divergence<KLOptions> = /* @__PURE__ */ divergence<KLOptions>(
  ({ direction = "forward", symmetric = false }) => {
    oneOf("direction", direction, ["forward", "reverse"]);
    if (symmetric) return jensenShannonRow(0.5);
    return direction === "forward" ? forward : reverse;
  },
);

/** KL(p‖q) of one row. */
export function forward({ p, logP, logQ, gradient }: Row): number {
  let kl = 0;
  for (let i = 0; i < p.length; i++) if (p[i] !== 0) kl += p[i]! * (logP[i]! - logQ[i]!);
  if (gradient) for (let i = 0; i < p.length; i++) gradient[i] = p[i] === 0 ? 0 : p[i]! * (logP[i]! - logQ[i]! - kl);
  return notNegative(kl);
}
forward.kernel = /* @__PURE__ */ onKernels(/* @__PURE__ */ klKernel(false));

/** KL(q‖p) of one row. */
export function reverse({ p, logP, q, logQ, gradient }: Row): number {
  let kl = 0;
  for (let i = 0; i < q.length; i++) if (q[i] !== 0) kl += q[i]! * (logQ[i]! - logP[i]!);
  if (gradient) for (let i = 0; i < q.length; i++) gradient[i] = p[i]! - q[i]!;
  return notNegative(kl);
}
reverse.kernel = /* @__PURE__ */ onKernels(/* @__PURE__ */ klKernel(true));

import { type Direction, parseDirection } from "./direction.ts";
import { type Divergence, divergence } from "./divergence.ts";
import { jensenShannonRow } from "./jensen-shannon.ts";
import { onKernels } from "./kernel/kernel-rows.ts";
import { klKernel } from "./kernel/kl-kernel.ts";
import { DIVERGENCE_DEFAULTS } from "./options.ts";
import { notNegative, type Row, sumOfLogRatios } from "./row.ts";

export type { Direction };

/** Settings of `klDivergence`, beside those of all divergences. */
export interface KLOptions {
  /**
   * `"p||q"` is KL(p‖q) = KL(model‖reference), mode-seeking; `"q||p"` is KL(q‖p) = KL(reference‖model), mode-covering.
   * `"forward"` and `"reverse"` are aliases of the two. Default `"p||q"`.
   */
  readonly direction?: Direction;
  /** The Jensen–Shannon divergence instead, which is the same in both directions. Default false. */
  readonly symmetric?: boolean;
}

/** The default of each option of `klDivergence`. */
export const KL_DIVERGENCE_DEFAULTS = { ...DIVERGENCE_DEFAULTS, direction: "p||q", symmetric: false } as const;

/**
 * The Kullback–Leibler divergence of the model's distributions p from the reference's q.
 *
 * KL(p‖q) = Σ p·(log p − log q), its gradient p·(log p − log q − KL).
 * KL(q‖p) = Σ q·(log q − log p), its gradient p − q.
 *
 * An outcome whose log-probability is −∞ on the first side contributes exactly 0; one that is possible there and −∞ on the
 * other makes the row's value +∞ (see `epsilon` and `clip`). At least 0, and 0 only at equality. NaN in, NaN out.
 *
 * @param p the model, `q` the reference: [..., V], same shape; natural log-probabilities, or logits with `input: "logits"`.
 * A reference known at k tokens is a `topK`: the value is then a lower bound, and its `coverage` is returned too.
 * @returns nats: a number, or with `reduction: "none"` a tensor [...] of one value per row.
 * @throws RangeError for differing shapes, invalid weights or settings; NotNormalizedError for rows that do not sum to 1.
 * @example
 * const p = tensor([0.4, 0.3, 0.2, 0.1].map(Math.log), [1, 4]);
 * const q = tensor([0.25, 0.25, 0.25, 0.25].map(Math.log), [1, 4]);
 * klDivergence(p, q); // 0.10644
 * klDivergence(p, q, { direction: "q||p" }); // 0.12178
 * klDivergence.withGradient(p, q).gradient; // [[0.1454, 0.0228, −0.0659, −0.1023]]
 * @see Kullback & Leibler 1951, On Information and Sufficiency
 */
export const klDivergence: Divergence<KLOptions> = /* @__PURE__ */ divergence<KLOptions>(
  ({ direction = KL_DIVERGENCE_DEFAULTS.direction, symmetric = KL_DIVERGENCE_DEFAULTS.symmetric }) => {
    const formula = parseDirection(direction) === "p||q" ? klPQ : klQP;
    return symmetric ? jensenShannonRow(0.5) : formula;
  },
);

/** KL(p‖q) of one row. */
export function klPQ({ p, logP, logQ, gradient }: Row): number {
  const kl = sumOfLogRatios(p, logP, logQ);
  if (gradient) for (let i = 0; i < p.length; i++) gradient[i] = p[i] === 0 ? 0 : p[i]! * (logP[i]! - logQ[i]! - kl);
  return notNegative(kl);
}
klPQ.kernel = /* @__PURE__ */ onKernels(/* @__PURE__ */ klKernel(false));

/** KL(q‖p) of one row. */
export function klQP({ p, logP, q, logQ, gradient }: Row): number {
  if (gradient) for (let i = 0; i < q.length; i++) gradient[i] = p[i]! - q[i]!;
  return notNegative(sumOfLogRatios(q, logQ, logP));
}
klQP.kernel = /* @__PURE__ */ onKernels(/* @__PURE__ */ klKernel(true));

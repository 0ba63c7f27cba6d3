import { withDefaults } from "../common/defaults.ts";
import { resolveReference } from "../reference/resolve.ts";
import { measureKL, type ReferenceDirection } from "./direction.ts";
import { PositionRegularizer } from "./position-regularizer.ts";
import { DIVERGENCE_DEFAULTS, divergenceSettings, type ReferenceDivergenceOptions } from "./reference-options.ts";

/** Settings of `KLDivergence`. */
export interface KLDivergenceOptions extends ReferenceDivergenceOptions {
  /**
   * `"reference||model"` is KL(reference‖model), mode-covering; `"model||reference"` is KL(model‖reference), mode-seeking.
   * `"reverse"` and `"forward"` are the same two. Default `"reference||model"`.
   */
  readonly direction?: ReferenceDirection | undefined;
  /** The Jensen–Shannon divergence instead of a KL. Default false. */
  readonly symmetric?: boolean | undefined;
}

/** Defaults of `KLDivergence`. */
export const KL_DIVERGENCE_DEFAULTS = {
  ...DIVERGENCE_DEFAULTS,
  weight: 1,
  direction: "reference||model",
  symmetric: false,
} as const;

/**
 * Holds the model p to a reference q: Σ w·KL / Σ w over the positions of a batch, with w the positions' loss weights.
 *
 * `"reference||model"` is KL(q‖p) = Σ q·log(q/p), its gradient with respect to the logits p − q. `"model||reference"` is
 * KL(p‖q) = Σ p·log(p/q), its gradient p·(log p − log q − KL). `symmetric` is ½·KL(p‖m) + ½·KL(q‖m) with m = (p + q)/2, at
 * most ln 2.
 *
 * Metrics, in nats over the positions of weight > 0: `kl_divergence`, the weighted mean (whatever the reduction), `kl_max`,
 * `kl_min`, `kl_median`, `kl_p95` and `kl_p99` (absent when no position counts), and with `clip` the capped share of the
 * weight, `kl_clipped`.
 *
 * A reference may know its k most probable tokens only (a `topK`). All other tokens then count as one outcome, which makes
 * every value a lower bound of the divergence over the whole vocabulary; `kl_coverage`, the weighted mean of the
 * reference's probability of its k tokens, says how much was compared token by token.
 *
 * @throws UserError when constructed with no or more than one reference, or with invalid settings; in a step, naming the
 * datum, for a reference of another shape, one that is no distribution, or a divergence that is not finite.
 * @example
 * const kl = new KLDivergence({ referenceField: "base_logprobs" });
 * const { loss, gradient, metrics } = await compute(kl, data, logprobs);
 * @see Kullback & Leibler 1951, On Information and Sufficiency
 */
export class KLDivergence extends PositionRegularizer {
  constructor(options: KLDivergenceOptions) {
    const { direction, symmetric } = withDefaults(KL_DIVERGENCE_DEFAULTS, options);
    super({
      ...divergenceSettings(options),
      name: options.name ?? "kl_divergence",
      weight: KL_DIVERGENCE_DEFAULTS.weight,
      reference: resolveReference(options),
      measure: measureKL({ what: "KL divergence", metric: "kl_divergence", prefix: "kl" }, "reference", {
        direction,
        symmetric,
      }),
    });
  }
}

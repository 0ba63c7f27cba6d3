import { type Direction, klDivergence } from "../divergence/kl-divergence.ts";
import { measureOf, ReferenceDivergence, type ReferenceDivergenceOptions } from "./reference-divergence.ts";
import type { Measure } from "./row-penalty.ts";

/** Settings of `KLDivergence`. */
export interface KLDivergenceOptions extends ReferenceDivergenceOptions {
  /** `"forward"` is KL(model‖reference), `"reverse"` is KL(reference‖model). Default `"forward"`. */
  readonly direction?: Direction | undefined;
  /** The Jensen–Shannon divergence instead of a KL. Default false. */
  readonly symmetric?: boolean | undefined;
}

/**
 * Holds the model p to a reference q: Σ w·KL / Σ w over the rows of a batch, with w the rows' loss weights.
 *
 * `"forward"` is KL(p‖q) = Σ p·log(p/q), its gradient with respect to the logits p·(log p − log q − KL). `"reverse"` is
 * KL(q‖p) = Σ q·log(q/p), its gradient p − q. `symmetric` is ½·KL(p‖m) + ½·KL(q‖m) with m = (p + q)/2, at most ln 2.
 *
 * Metrics, in nats over the rows of weight above 0: `kl_divergence`, the weighted mean (whatever the reduction), `kl_max` and
 * `kl_min` (absent when no row counts), and with `clip` the capped share of the weight, `kl_clipped`.
 *
 * A reference may know its k most probable tokens only (a `topK`). All other tokens then count as one outcome, which makes
 * every value a lower bound of the divergence over the whole vocabulary; `kl_coverage`, the weighted mean of the
 * reference's probability of its k tokens, says how much was compared token by token.
 *
 * @throws UserError when constructed with no or more than one reference, or with settings that mean nothing; from `compute`,
 * naming the datum, for a reference of another shape, one that is no distribution, or a divergence that is not finite.
 * @example
 * const kl = new KLDivergence({ referenceField: "base_logprobs", direction: "reverse" });
 * const { loss, gradient, metrics } = await kl.compute(data, logprobs);
 * @see Kullback & Leibler 1951, On Information and Sufficiency
 */
export class KLDivergence extends ReferenceDivergence {
  constructor(options: KLDivergenceOptions) {
    const { direction = "forward", symmetric = false } = options;
    super(klMeasure(direction, symmetric), { ...options, name: options.name ?? "kl_divergence" });
  }
}

function klMeasure(direction: Direction, symmetric: boolean): Measure {
  const formula = direction === "forward" ? "KL(model‖reference)" : "KL(reference‖model)";
  return {
    what: "KL divergence",
    metric: "kl_divergence",
    prefix: "kl",
    ...(symmetric ? { formula: "the Jensen–Shannon divergence" } : { formula, direction }),
    withGradient: measureOf(klDivergence, { direction, symmetric }),
  };
}

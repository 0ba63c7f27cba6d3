import { jensenShannon, type JensenShannonOptions as Skew } from "../divergence/jensen-shannon.ts";
import { measureOf, ReferenceDivergence, type ReferenceDivergenceOptions } from "./reference-divergence.ts";

/** Settings of `JensenShannon`. */
export interface JensenShannonOptions extends ReferenceDivergenceOptions {
  /** The model's share of the mixture, above 0 and below 1 (at both ends the divergence is 0). Default 0.5. */
  readonly beta?: Skew["beta"] | undefined;
}

/**
 * Holds the model p to a reference q by their distances from a mixture of both, m = β·p + (1 − β)·q.
 *
 * JS = β·KL(p‖m) + (1 − β)·KL(q‖m), the mean over the rows of a batch; its gradient β·p·(log p − log m − KL(p‖m)). In
 * nats, never above the entropy of the coin (β, 1 − β): ln 2 for β = 0.5. So no token can dominate a batch, and a model far
 * from its reference is hardly pulled. Finite whatever the supports, hence without `epsilon` as well.
 *
 * Metrics: `js_divergence`, `js_max`, `js_min`, and as they apply `js_clipped` and `js_coverage` (see `ReferenceDivergence`).
 *
 * @example
 * const js = new JensenShannon({ reference: baseReference(client.sampler("base")), beta: 0.5 });
 * const { loss, gradient, metrics } = await js.compute(data, logprobs);
 * @see Lin 1991, Divergence Measures Based on the Shannon Entropy
 */
export class JensenShannon extends ReferenceDivergence {
  constructor(options: JensenShannonOptions) {
    const { beta = 0.5 } = options;
    const measure = {
      what: "Jensen–Shannon divergence",
      formula: "the Jensen–Shannon divergence",
      metric: "js_divergence",
      prefix: "js",
      withGradient: measureOf(jensenShannon, { beta }),
    };
    super(measure, { ...options, name: options.name ?? "jensen_shannon" });
  }
}

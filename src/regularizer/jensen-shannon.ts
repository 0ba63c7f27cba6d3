import { UserError } from "../common/errors.ts";
import { jensenShannon } from "../divergence/jensen-shannon.ts";
import { resolveReference } from "../reference/resolve.ts";
import { PositionRegularizer } from "./position-regularizer.ts";
import {
  DIVERGENCE_DEFAULTS,
  divergenceSettings,
  measureBy,
  type ReferenceDivergenceOptions,
} from "./reference-options.ts";

/** Settings of `JensenShannon`. */
export interface JensenShannonOptions extends ReferenceDivergenceOptions {
  /** The model's share of the mixture, above 0 and below 1 (at both ends the divergence is 0). Default 0.5. */
  readonly beta?: number | undefined;
}

/** Defaults of `JensenShannon`. */
export const JENSEN_SHANNON_DEFAULTS = { ...DIVERGENCE_DEFAULTS, weight: 0.1, beta: 0.5 } as const;

/**
 * Holds the model p to a reference q by their distances from a mixture of both, m = β·p + (1 − β)·q.
 *
 * JS = β·KL(p‖m) + (1 − β)·KL(q‖m), the mean over the positions of a batch; its gradient β·p·(log p − log m − KL(p‖m)). In
 * nats, never above the entropy of the coin (β, 1 − β): ln 2 for β = 0.5. So no token can dominate a batch, and a model far
 * from its reference is hardly pulled. Finite whatever the supports, hence without `epsilon` as well.
 *
 * Metrics: `js_divergence`, `js_max`, `js_min`, …, as those of `KLDivergence`.
 *
 * @throws UserError as `KLDivergence`, and for a β outside 0 to 1.
 * @example
 * const js = new JensenShannon({ reference: baseReference(client.sampler("base")), beta: 0.5 });
 * const { loss, gradient, metrics } = await compute(js, data, logprobs);
 * @see Lin 1991, Divergence Measures Based on the Shannon Entropy
 */
export class JensenShannon extends PositionRegularizer {
  constructor(options: JensenShannonOptions) {
    const { beta = JENSEN_SHANNON_DEFAULTS.beta, name = "jensen_shannon" } = options;
    if (!(beta > 0 && beta < 1)) {
      throw new UserError(`Jensen–Shannon divergence: beta is ${beta}, expected a number above 0 and below 1`);
    }
    super({
      ...divergenceSettings(options),
      name,
      weight: JENSEN_SHANNON_DEFAULTS.weight,
      reference: resolveReference(options),
      measure: {
        what: "Jensen–Shannon divergence",
        formula: "the Jensen–Shannon divergence",
        metric: "js_divergence",
        prefix: "js",
        prepare: measureBy(jensenShannon, { beta }),
      },
    });
  }
}

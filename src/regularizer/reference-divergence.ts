import type { Datum } from "../data/datum.ts";
import type { Divergence } from "../divergence/divergence.ts";
import type { Reduction } from "../divergence/options.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { ComputeOptions, Regularizer } from "../loss/legacy.ts";
import { checkShapes } from "../reference/check-shapes.ts";
import type { Reference, ReferenceRows } from "../reference/legacy.ts";
import { type ReferenceOptions, resolveReference } from "../reference/resolve.ts";
import { checkSettings, type Measure, type RowSettings, type RowsPenalty, rowPenalty } from "./row-penalty.ts";

/** Settings shared by all regularizers that hold the model to a reference. */
export interface ReferenceDivergenceOptions extends ReferenceOptions {
  /** Unique in a composition. Default: what kind it is, such as `"kl_divergence"`. */
  readonly name?: string | undefined;
  /**
   * What `loss` is: the weighted `"mean"` over all rows of the batch, or their weighted `"sum"`. With `"none"` the rows are
   * left to you in `perRow`; the loss, which has to be one number, is their mean. Default `"mean"`.
   */
  readonly reduction?: Reduction | undefined;
  /** Smooths the reference, q ← (1 − ε)·q + ε/V. From 0 to below 1. Default 0 (off). */
  readonly epsilon?: number | undefined;
  /** Caps each row's value, in nats; the share of capped rows is the metric `…_clipped`. Default Infinity (off). */
  readonly clip?: number | undefined;
}

/** A divergence, its own options filled in, as what is measured of each row. */
export function measureOf<Own extends object>(divergence: Divergence<Own>, own: Own): Measure["withGradient"] {
  return (p, q, options) => divergence.withGradient<"mean", ReferenceRows>(p, q!, { ...own, ...options });
}

/** The settings of its rows, with every default filled in. */
export function settingsOf({
  reduction = "mean",
  epsilon = 0,
  clip = Number.POSITIVE_INFINITY,
}: Pick<ReferenceDivergenceOptions, "reduction" | "epsilon" | "clip">): RowSettings {
  return { reduction, epsilon, clip };
}

/**
 * Holds the model to a reference distribution: Σ w·D / Σ w over the rows of a batch, with w the rows' loss weights and D a
 * divergence of the model from the reference. What `KLDivergence` and `JensenShannon` are.
 *
 * Metrics, in nats over the rows of weight above 0: the weighted mean (whatever the reduction), `…_max` and `…_min` (absent
 * when no row counts), and with `clip` the capped share of the weight, `…_clipped`.
 *
 * A reference may know its k most probable tokens only (a `topK`). All other tokens then count as one outcome, which makes
 * every value a lower bound of the divergence over the whole vocabulary; `…_coverage`, the weighted mean of the
 * reference's probability of its k tokens, says how much was compared token by token.
 *
 * @throws UserError when constructed with no or more than one reference, or with settings that mean nothing; from `compute`,
 * naming the datum, for a reference of another shape, one that is no distribution, or a divergence that is not finite.
 */
export class ReferenceDivergence implements Regularizer {
  readonly name: string;
  readonly reference: Reference;
  readonly #measure: Measure;
  readonly #settings: RowSettings;

  constructor(measure: Measure, options: ReferenceDivergenceOptions & { readonly name: string }) {
    this.name = options.name;
    this.reference = resolveReference(options);
    this.#measure = measure;
    this.#settings = settingsOf(options);
    checkSettings(measure, this.#settings);
  }

  /** @inheritdoc */
  async compute(
    data: readonly Datum[],
    logprobs: readonly Tensor[],
    options: ComputeOptions = {},
  ): Promise<RowsPenalty> {
    const rows = await this.reference.resolve(data, options);
    const { description } = this.reference;
    checkShapes(this.#measure.what, data, logprobs, rows, description);
    return rowPenalty(this.#measure, this.#settings, data, logprobs, { rows, description }, options);
  }
}

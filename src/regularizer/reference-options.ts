import type { Divergence } from "../divergence/divergence.ts";
import type { Reduction } from "../divergence/options.ts";
import type { ReferenceRows } from "../reference/contract.ts";
import type { ReferenceOptions } from "../reference/resolve.ts";
import type { MeasureSpan } from "./position-loss.ts";

/** Settings shared by all regularizers that hold the model to another distribution. */
export interface DivergenceSettings {
  /** Unique in a composition. Default: what kind it is, such as `"kl_divergence"`. */
  readonly name?: string | undefined;
  /**
   * What the loss is: the weighted `"mean"` over all positions of the batch, or their weighted `"sum"`. With `"none"` the
   * values are left to you in `positions`; the loss, which has to be one number, is their mean. Default `"mean"`.
   */
  readonly reduction?: Reduction | undefined;
  /** Smooths the reference, q ← (1 − ε)·q + ε/V. From 0 to below 1. Default 0 (off). */
  readonly epsilon?: number | undefined;
  /** Caps each position's value, in nats; the share of capped positions is the metric `…_clipped`. Default Infinity (off). */
  readonly clip?: number | undefined;
}

/** Settings shared by all regularizers that hold the model to a reference. */
export interface ReferenceDivergenceOptions extends DivergenceSettings, ReferenceOptions {}

/** Defaults shared by regularizers that hold the model to another distribution. */
export const DIVERGENCE_DEFAULTS = { reduction: "mean", epsilon: 0, clip: Number.POSITIVE_INFINITY } as const;

/** The settings in force. */
export function divergenceSettings({
  reduction = DIVERGENCE_DEFAULTS.reduction,
  epsilon = DIVERGENCE_DEFAULTS.epsilon,
  clip = DIVERGENCE_DEFAULTS.clip,
}: DivergenceSettings) {
  return { reduction, epsilon, clip };
}

/** A divergence, its own options filled in, as what is measured of each span. */
export function measureBy<Own extends object>(divergence: Divergence<Own>, own: Own): () => MeasureSpan {
  return () => (p, q, options) => divergence.withGradient<"mean", ReferenceRows>(p, q!, { ...own, ...options });
}

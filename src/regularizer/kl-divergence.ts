import { type Datum, totalWeight } from "../data/datum.ts";
import { type Direction, klDivergence } from "../divergence/kl-divergence.ts";
import type { Reduction } from "../divergence/options.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { UserError } from "../errors.ts";
import { checkShapes } from "../reference/check-shapes.ts";
import { isTopK, type Reference } from "../reference/contract.ts";
import { type ReferenceOptions, resolveReference } from "../reference/resolve.ts";
import type { ComputeOptions, Penalty, Regularizer } from "./contract.ts";
import { gradientSum } from "./gradient-sum.ts";
import { namingDatum } from "./naming-datum.ts";
import { whyNotFinite } from "./why-not-finite.ts";

export interface KLDivergenceOptions extends ReferenceOptions {
  /** Unique in a composition. Default `"kl_divergence"`. */
  readonly name?: string | undefined;
  /** `"forward"` is KL(model‖reference), `"reverse"` is KL(reference‖model). Default `"forward"`. */
  readonly direction?: Direction | undefined;
  /** The Jensen–Shannon divergence instead of a KL. Default false. */
  readonly symmetric?: boolean | undefined;
  /**
   * What `loss` is: the weighted `"mean"` over all rows of the batch, or their weighted `"sum"`. With `"none"` the rows are
   * left to you in `perRow`; the loss, which has to be one number, is their mean. Default `"mean"`.
   */
  readonly reduction?: Reduction | undefined;
  /** Smooths the reference, q ← (1 − ε)·q + ε/V. From 0 to below 1. Default 0 (off). */
  readonly epsilon?: number | undefined;
  /** Caps each row's value, in nats; the share of capped rows is the metric `kl_clipped`. Default Infinity (off). */
  readonly clip?: number | undefined;
}

export interface KLPenalty extends Penalty {
  /** Each row's own divergence in nats, [M] per datum; 0 for rows of weight 0. */
  readonly perRow: readonly Tensor[];
}

/**
 * Holds the model to a reference distribution: Σ w·KL / Σ w over the rows of a batch, with w the rows' loss weights.
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
 */
export class KLDivergence implements Regularizer {
  readonly name: string;
  readonly reference: Reference;
  readonly #settings: Settings;

  constructor(options: KLDivergenceOptions) {
    const {
      name = "kl_divergence",
      direction = "forward",
      symmetric = false,
      reduction = "mean",
      epsilon = 0,
      clip = Number.POSITIVE_INFINITY,
    } = options;
    this.name = name;
    this.reference = resolveReference(options);
    this.#settings = { direction, symmetric, reduction, epsilon, clip };
    tryOut(this.#settings);
  }

  /** @inheritdoc */
  async compute(data: readonly Datum[], logprobs: readonly Tensor[], options: ComputeOptions = {}): Promise<KLPenalty> {
    const reference = await this.reference.resolve(data, options);
    const { description } = this.reference;
    checkShapes("KL divergence", data, logprobs, reference, description);

    const { reduction, ...how } = this.#settings;
    const total = options.totalWeight ?? totalWeight(data);
    const sum = gradientSum(options.addTo, logprobs);
    // A row's share of the loss is weight / total, or with a sum its weight.
    const scale = reduction === "sum" ? sum.scale * total : sum.scale;
    let [mean, clipped, covered, max, min] = [0, 0, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    const perRow = data.map((datum, i) => {
      const { weights } = datum.lossInputs;
      const addTo = { gradient: sum.gradient[i]!, scale };
      const [p, q] = [logprobs[i]!, reference[i]!];
      const part = namingDatum(
        datum,
        i,
        () => klDivergence.withGradient(p, q, { ...how, weights, totalWeight: total, addTo }),
        description,
      );
      mean += part.value;
      clipped += part.clippedShare;
      covered += "coverage" in part ? part.coverage : totalWeight([datum]) / (total || 1);
      part.perRow.data.forEach((value, row) => {
        if (weights.data[row] === 0) return;
        if (!Number.isFinite(value))
          throw new UserError(whyNotFinite({ datum, index: i, row, p, q, ...how, description }));
        max = Math.max(max, value);
        min = Math.min(min, value);
      });
      return part.perRow;
    });
    return {
      loss: reduction === "sum" ? mean * total : mean,
      gradient: sum.gradient,
      metrics: {
        kl_divergence: mean,
        ...(max >= min && { kl_max: max, kl_min: min }),
        ...(how.clip < Number.POSITIVE_INFINITY && { kl_clipped: clipped }),
        ...(reference.some(isTopK) && { kl_coverage: covered }),
      },
      perRow,
    };
  }
}

type Settings = Readonly<
  Required<{ direction: Direction; symmetric: boolean; reduction: Reduction; epsilon: number; clip: number }>
>;

/** Bad settings fail here, at construction, rather than in the first step. */
function tryOut(settings: Settings): void {
  const nothing: Tensor = { data: new Float32Array(0), shape: [0, 1] };
  try {
    klDivergence(nothing, nothing, settings);
  } catch (cause) {
    throw new UserError(`KL divergence: ${(cause as Error).message}`, { cause });
  }
}

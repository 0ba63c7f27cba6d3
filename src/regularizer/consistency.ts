import { type Datum, totalWeight } from "../data/datum.ts";
import { type Direction, klDivergence } from "../divergence/kl-divergence.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { ComputeOptions, Regularizer } from "../loss/legacy.ts";
import type { SamplingClient } from "../model/legacy.ts";
import { checkShapes } from "../reference/check-shapes.ts";
import { type View, viewOf } from "./augmentation.ts";
import { measureOf, type ReferenceDivergenceOptions, settingsOf } from "./reference-divergence.ts";
import { checkSettings, type Measure, type RowSettings, type RowsPenalty, rowPenalty } from "./row-penalty.ts";

type Shared = Pick<ReferenceDivergenceOptions, "name" | "reduction" | "epsilon" | "clip">;

/** Settings of `Consistency`. */
export interface ConsistencyOptions extends Shared {
  /** A sampler over the weights as they are: `client.sampler("current")`. */
  readonly model: Pick<SamplingClient, "distributions">;
  /** The change that should not matter, such as `tokenReplacement({ rate: 0.1 })`. */
  readonly view: View;
  /** Fixes the views; they differ from step to step. Default 1. */
  readonly seed?: number | undefined;
  /** `"reverse"` is KL(view‖model), `"forward"` is KL(model‖view). Default `"reverse"`: the view is the target. */
  readonly direction?: Direction | undefined;
  /** The Jensen–Shannon divergence instead of a KL. Default false. */
  readonly symmetric?: boolean | undefined;
}

/**
 * Holds the model to itself: its distribution p on a text to its own distribution q on a changed view of the same text.
 *
 * Σ w·KL(q‖p) / Σ w over the rows of a batch, in nats. The view is a second forward pass, through which no gradient flows.
 * Rows to which the view gives the weight 0 count as 0. Metrics: `consistency`, `consistency_max`, `consistency_min`, and
 * with `clip` `consistency_clipped`.
 *
 * @throws UserError for settings that mean nothing, and from `compute` for a view with other rows than its datum.
 * @example
 * const same = new Consistency({ model: client.sampler("current"), view: tokenReplacement({ rate: 0.1 }) });
 * @see Xie et al. 2020, Unsupervised Data Augmentation for Consistency Training (arXiv 1904.12848); Liang et al. 2021,
 * R-Drop (arXiv 2106.14448)
 */
export class Consistency implements Regularizer {
  readonly name: string;
  readonly #look: (data: readonly Datum[], step: number) => { views: Datum[]; rows: Promise<readonly Tensor[]> };
  readonly #measure: Measure;
  readonly #settings: RowSettings;

  constructor(options: ConsistencyOptions) {
    const { name = "consistency", model, view, seed = 1, direction = "reverse", symmetric = false } = options;
    this.name = name;
    this.#look = (data, step) => {
      const views = data.map((datum) => viewOf(view, datum, seed, step));
      return { views, rows: model.distributions(views) };
    };
    const formula = direction === "forward" ? "KL(model‖view)" : "KL(view‖model)";
    this.#measure = {
      what: "consistency",
      metric: "consistency",
      prefix: "consistency",
      ...(symmetric ? { formula: "the Jensen–Shannon divergence" } : { formula, direction }),
      withGradient: measureOf(klDivergence, { direction, symmetric }),
    };
    this.#settings = settingsOf(options);
    checkSettings(this.#measure, this.#settings);
  }

  /** @inheritdoc */
  async compute(
    data: readonly Datum[],
    logprobs: readonly Tensor[],
    options: ComputeOptions = {},
  ): Promise<RowsPenalty> {
    const { views, rows } = this.#look(data, options.step ?? 1);
    const reference = { rows: await rows, description: "a view of the text" };
    checkShapes(this.#measure.what, data, logprobs, reference.rows, reference.description);
    const all = { ...options, totalWeight: options.totalWeight ?? totalWeight(data) };
    return rowPenalty(this.#measure, this.#settings, views, logprobs, reference, all);
  }
}

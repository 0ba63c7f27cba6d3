import { withDefaults } from "../common/defaults.ts";
import { liveReference, type ReferenceModel } from "../reference/base.ts";
import { type View, viewOf } from "./augmentation.ts";
import type { Regularizer } from "./contract.ts";
import { measureKL, type ViewDirection } from "./direction.ts";
import { checkSettings, positionLoss } from "./position-loss.ts";
import { DIVERGENCE_DEFAULTS, type DivergenceSettings, divergenceSettings } from "./reference-options.ts";

/** Settings of `Consistency`. */
export interface ConsistencyOptions extends DivergenceSettings {
  /** A sampler over the weights as they are: `client.sampler("current")`. */
  readonly model: ReferenceModel;
  /** The change that should not matter, such as `tokenReplacement({ rate: 0.1 })`. */
  readonly view: View;
  /** Seed of the views; they differ from step to step. Default 1. */
  readonly seed?: number | undefined;
  /**
   * `"view||model"` is KL(view‖model): the view is the target. `"model||view"` is KL(model‖view). `"reverse"` and
   * `"forward"` are the same two. Default `"view||model"`.
   */
  readonly direction?: ViewDirection | undefined;
  /** The Jensen–Shannon divergence instead of a KL. Default false. */
  readonly symmetric?: boolean | undefined;
}

/** Defaults of `Consistency`. */
export const CONSISTENCY_DEFAULTS = {
  ...DIVERGENCE_DEFAULTS,
  weight: 0.1,
  seed: 1,
  direction: "view||model",
  symmetric: false,
} as const;

/**
 * Holds the model to itself: its distribution p on a text to its own distribution q on a changed view of the same text.
 *
 * Σ w·KL(q‖p) / Σ w over the positions of a batch, in nats; positions to which the view gives the weight 0 count nowhere.
 * The view is a second forward pass, through which no gradient flows. Metrics: `consistency`, `consistency_max`,
 * `consistency_min`, …, as those of `KLDivergence`.
 *
 * @throws UserError for invalid settings or a model that tells no distributions; in a step, for a view with other target
 * positions than its datum.
 * @example
 * const same = new Consistency({ model: client.sampler("current"), view: tokenReplacement({ rate: 0.1 }) });
 * @see Xie et al. 2020, Unsupervised Data Augmentation for Consistency Training (arXiv 1904.12848); Liang et al. 2021,
 * R-Drop (arXiv 2106.14448)
 */
export class Consistency implements Regularizer {
  readonly name: string;
  readonly weight = CONSISTENCY_DEFAULTS.weight;
  readonly begin: Regularizer["begin"];

  constructor(options: ConsistencyOptions) {
    const { model, view } = options;
    const { seed, ...given } = withDefaults(CONSISTENCY_DEFAULTS, options);
    const settings = divergenceSettings(options);
    const names = { what: "consistency", metric: "consistency", prefix: "consistency" };
    const measure = measureKL(names, "view", given);
    checkSettings(measure.what, settings);
    const reference = liveReference(model, "a view of the text");
    this.name = options.name ?? "consistency";
    this.begin = async (batch, step) => {
      const views = batch.map((item) => viewOf(view, item, seed, step.number));
      const open = await reference.begin(views, step);
      const items = batch.map(({ datum }, i) => ({ datum, weights: views[i]!.lossInputs.weights.data }));
      return positionLoss(measure, settings, items, { open, description: reference.description }, step);
    };
  }
}

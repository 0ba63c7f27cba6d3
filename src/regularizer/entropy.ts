import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { entropy } from "../divergence/entropy.ts";
import type { Reduction } from "../divergence/options.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { ComputeOptions, Regularizer } from "../loss/legacy.ts";
import { checkSettings, type Measure, type RowsPenalty, rowPenalty } from "./row-penalty.ts";

/** Settings of `Entropy`. */
export interface EntropyOptions {
  /** Unique in a composition. Default `"entropy"`. */
  readonly name?: string | undefined;
  /** A `"bonus"` rewards entropy: the loss is −H. A `"penalty"` rewards certainty: the loss is H. Default `"bonus"`. */
  readonly mode?: "bonus" | "penalty" | undefined;
  /** Of the distribution whose entropy it is, softmax(logits / T). Above 1 the tail counts more. Default 1. */
  readonly temperature?: number | undefined;
  /** Over the rows of a batch: their weighted `"mean"` or `"sum"`. Default `"mean"`. */
  readonly reduction?: Exclude<Reduction, "none"> | undefined;
}

/**
 * Keeps the model's distributions wide, or makes them narrow: ∓ the mean entropy H = −Σ p·log p of a batch's rows, in nats.
 *
 * The gradient is ±p·(log p + H) / T. Without a reference: a bonus keeps a model from growing certain of the little that
 * it is shown, a penalty sharpens it. Metrics, whatever the mode: `entropy`, `entropy_max`, `entropy_min`, of H itself.
 *
 * @throws UserError for settings that mean nothing; from `compute`, naming the datum, for rows that are no distributions.
 * @example const bonus = new Entropy({ mode: "bonus" });
 * @see Pereyra et al. 2017, Regularizing Neural Networks by Penalizing Confident Output Distributions (arXiv 1701.06548);
 * Grandvalet & Bengio 2004, Semi-supervised Learning by Entropy Minimization
 */
export class Entropy implements Regularizer {
  readonly name: string;
  readonly #measure: Measure;
  readonly #reduction: Exclude<Reduction, "none">;

  constructor({ name = "entropy", mode = "bonus", temperature = 1, reduction = "mean" }: EntropyOptions = {}) {
    if (mode !== "bonus" && mode !== "penalty") {
      throw new UserError(`the mode of an entropy regularizer is ${JSON.stringify(mode)}, expected bonus or penalty`);
    }
    this.name = name;
    this.#reduction = reduction;
    this.#measure = {
      what: "entropy",
      formula: "the entropy",
      metric: "entropy",
      prefix: "entropy",
      sign: mode === "bonus" ? -1 : 1,
      withGradient: (p, _, options) => entropy.withGradient(p, { ...options, temperature }),
    };
    checkSettings(this.#measure, { reduction });
  }

  /** @inheritdoc */
  async compute(
    data: readonly Datum[],
    logprobs: readonly Tensor[],
    options: ComputeOptions = {},
  ): Promise<RowsPenalty> {
    return rowPenalty(this.#measure, { reduction: this.#reduction }, data, logprobs, undefined, options);
  }
}

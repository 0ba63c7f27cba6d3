import { UserError } from "../common/errors.ts";
import { entropy } from "../divergence/entropy.ts";
import { PositionRegularizer } from "./position-regularizer.ts";

/** Settings of `Entropy`. */
export interface EntropyOptions {
  /** Unique in a composition. Default `"entropy"`. */
  readonly name?: string | undefined;
  /** A `"bonus"` rewards entropy: the loss is −H. A `"penalty"` rewards certainty: the loss is H. Default `"bonus"`. */
  readonly mode?: "bonus" | "penalty" | undefined;
  /** Of the distribution whose entropy it is, softmax(logits / T). Above 1 the tail counts more. Default 1. */
  readonly temperature?: number | undefined;
  /** Over the positions of a batch: their weighted `"mean"` or `"sum"`. Default `"mean"`. */
  readonly reduction?: "mean" | "sum" | undefined;
}

/** Defaults of `Entropy`. */
export const ENTROPY_DEFAULTS = { weight: 0.1, mode: "bonus", temperature: 1, reduction: "mean" } as const;

/**
 * Keeps the model's distributions wide, or makes them narrow: ∓ the mean entropy H = −Σ p·log p of a batch's positions, in
 * nats.
 *
 * The gradient is ±p·(log p + H) / T. Without a reference: a bonus keeps a model from growing certain of the little that
 * it is shown, a penalty sharpens it. Metrics, whatever the mode: `entropy`, `entropy_max`, `entropy_min`, …, of H itself.
 *
 * @throws UserError for invalid settings; in a step, naming the datum, for rows that are no distributions.
 * @example const bonus = new Entropy({ mode: "bonus" });
 * @see Pereyra et al. 2017, Regularizing Neural Networks by Penalizing Confident Output Distributions (arXiv 1701.06548);
 * Grandvalet & Bengio 2004, Semi-supervised Learning by Entropy Minimization
 */
export class Entropy extends PositionRegularizer {
  constructor({
    name = "entropy",
    mode = ENTROPY_DEFAULTS.mode,
    temperature = ENTROPY_DEFAULTS.temperature,
    reduction = ENTROPY_DEFAULTS.reduction,
  }: EntropyOptions = {}) {
    if (mode !== "bonus" && mode !== "penalty") {
      throw new UserError(`the mode of an entropy regularizer is ${JSON.stringify(mode)}, expected bonus or penalty`);
    }
    super({
      name,
      weight: ENTROPY_DEFAULTS.weight,
      reduction,
      temperature,
      measure: {
        what: "entropy",
        formula: "the entropy",
        metric: "entropy",
        prefix: "entropy",
        sign: mode === "bonus" ? -1 : 1,
        prepare: () => (p, _, options) => entropy.withGradient(p, { ...options, temperature }),
      },
    });
  }
}

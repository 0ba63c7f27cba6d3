import { type Datum, totalWeight } from "../data/datum.ts";
import { crossEntropy } from "../divergence/cross-entropy.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { namingDatum } from "./datum-error.ts";
import { gradientSum } from "./gradient-sum.ts";
import type { ComputeOptions, Penalty } from "./legacy.ts";

/** The task's own loss, and each row's. */
export interface CrossEntropyPenalty extends Penalty {
  /** Each datum's −log p of its target tokens [M], in nats; 0 for rows of weight 0. Shows which datum went wrong. */
  readonly perRow: readonly Tensor[];
}

/**
 * The task's own loss, next to which regularizers are added: Σ w·−log p[target] / Σ w.
 *
 * Its gradient with respect to the logits is w·(p − onehot) / Σ w. Metric: `cross_entropy`, the same number in nats per
 * token. A target that the model holds impossible makes the loss +∞; `perRow` then shows where.
 *
 * @param logprobs the model's log-probabilities, [M, V] per datum.
 * @throws UserError that names the datum, for a target outside the vocabulary.
 */
export function crossEntropyLoss(
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  options: ComputeOptions = {},
): CrossEntropyPenalty {
  const total = options.totalWeight ?? totalWeight(data);
  const sum = gradientSum(options.addTo, logprobs);
  let loss = 0;
  const perRow = data.map((datum, i) => {
    const { target_tokens, weights } = datum.lossInputs;
    const addTo = { gradient: sum.gradient[i]!, scale: sum.scale };
    const part = namingDatum(datum, i, () =>
      crossEntropy.withGradient(logprobs[i]!, target_tokens, { weights, totalWeight: total, addTo }),
    );
    loss += part.value;
    return part.perRow;
  });
  return { loss, gradient: sum.gradient, metrics: { cross_entropy: loss }, perRow };
}

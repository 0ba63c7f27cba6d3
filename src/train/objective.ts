import { type Datum, totalWeight } from "../data/datum.ts";
import type { CustomLoss } from "../engine/contract.ts";
import { compose } from "../regularizer/compose.ts";
import type { Regularizer } from "../regularizer/contract.ts";
import { type CrossEntropyPenalty, crossEntropyLoss } from "../regularizer/cross-entropy.ts";
import type { WorstDatum } from "./diverged.ts";

/** A regularizer, its weight in the loss, and the text it works on: the batch's own rows, or an anchor's. */
export interface Held {
  readonly regularizer: Regularizer;
  /** 0 measures without training. */
  readonly weight: number;
  readonly anchor?: Anchor;
}

/** Text without labels, on which a regularizer holds the model: every token of every datum counts. */
export interface Anchor {
  readonly data: readonly Datum[];
  /** Data per step. */
  readonly rows: number;
  readonly seed: number;
}

/**
 * Σ w·CE / Σ w + Σ weightᵢ · regularizerᵢ over one batch. The engine may bring it in parts: all divide by the whole
 * batch's weight, so the parts add up.
 *
 * @param onWorst hears of each datum that is predicted worse than those before it.
 */
export function completionsLoss(
  batch: readonly Datum[],
  held: readonly Held[],
  onWorst?: (worst: WorstDatum) => void,
): CustomLoss {
  const options = { totalWeight: totalWeight(batch) };
  const regularizer = held.length > 0 ? compose(held) : undefined;
  let worst = Number.NEGATIVE_INFINITY;
  return {
    support: "vocabulary",
    compute: async (part, logprobs) => {
      const task = crossEntropyLoss(part, logprobs, options);
      for (const [i, datum] of part.entries()) {
        const loss = meanOfRows(datum, task.perRow[i]!);
        if (loss <= worst) continue;
        worst = Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
        onWorst?.({ source: datum.source ?? `datum ${batch.indexOf(datum)}`, loss });
      }
      // What a regularizer would say of a broken model is beside the point.
      if (!regularizer || !Number.isFinite(task.loss)) return task;
      const addTo = { gradient: task.gradient, scale: 1 };
      const { loss, metrics } = await regularizer.compute(part, logprobs, { ...options, addTo });
      return { loss: task.loss + loss, gradient: task.gradient, metrics: { ...task.metrics, ...metrics } };
    },
  };
}

/** weight · regularizer over a batch of an anchor: no labels, no cross-entropy. */
export function anchorLoss(batch: readonly Datum[], held: Held): CustomLoss {
  const options = { totalWeight: totalWeight(batch) };
  const regularizer = compose([held]);
  return { support: "vocabulary", compute: (part, logprobs) => regularizer.compute(part, logprobs, options) };
}

/** Σ w·x / Σ w of one datum's rows, in nats. */
function meanOfRows({ lossInputs }: Datum, { data }: CrossEntropyPenalty["perRow"][number]): number {
  let sum = 0;
  let total = 0;
  for (const [row, weight] of lossInputs.weights.data.entries()) {
    if (weight === 0) continue;
    sum += weight * data[row]!;
    total += weight;
  }
  return total === 0 ? 0 : sum / total;
}

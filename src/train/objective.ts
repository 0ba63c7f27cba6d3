import { type Datum, totalWeight } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { type CrossEntropyPenalty, crossEntropyLoss } from "../loss/cross-entropy.ts";
import type { GradientSum, Penalty, Regularizer } from "../loss/legacy.ts";
import type { MeasuredPart } from "../loss/metrics.ts";
import type { CustomLoss } from "../model/legacy.ts";
import type { Weighted } from "../regularizer/compose.ts";
import type { Anchor } from "./anchor.ts";
import type { WorstDatum } from "./diverged.ts";

/** A regularizer, its weight in the loss, and the text it works on: its mean is over all rows of it, wherever they are from. */
export interface Held extends Weighted {
  /** Text of its own, of which each step takes a part. */
  readonly anchors?: readonly Anchor[] | undefined;
  /** Whether it works on the batch's own rows. Default: when it has no anchors. */
  readonly completions?: boolean | undefined;
}

/** The step that a loss is computed for. */
export interface StepOptions {
  /** Counted from 1. */
  readonly step: number;
  /** Whether gradients, and whatever else is not free, are measured in this step. */
  readonly full: boolean;
  /** Ends work early that takes long, such as asking a server. */
  readonly signal?: AbortSignal | undefined;
  /** Gives the tensors of zeros that a gradient is summed in: it has been used when the next are asked for. */
  readonly zeros: (like: readonly Tensor[]) => readonly Tensor[];
  /** Hears of each part of the batch, once it is computed. */
  readonly onPart: (part: MeasuredPart) => void;
}

/**
 * Σ w·CE / Σ w + Σ weightᵢ · regularizerᵢ over one batch. The engine may bring it in parts: all divide by the whole
 * batch's weight, so the parts add up.
 *
 * @param regularizer the composition of all that hold the model on the batch's own rows, if any.
 * @param onWorst hears of each datum that is predicted worse than those before it.
 */
export function completionsLoss(
  batch: readonly Datum[],
  regularizer: Regularizer | undefined,
  options: StepOptions,
  onWorst?: (worst: WorstDatum) => void,
): CustomLoss {
  const shared = { totalWeight: totalWeight(batch), batch, step: options.step, signal: options.signal };
  let worst = Number.NEGATIVE_INFINITY;
  return inParts(options, async (part, logprobs, addTo) => {
    const task = crossEntropyLoss(part, logprobs, { ...shared, addTo });
    for (const [i, datum] of part.entries()) {
      const loss = meanOfRows(datum, task.perRow[i]!);
      if (loss <= worst) continue;
      worst = Number.isNaN(loss) ? Number.POSITIVE_INFINITY : loss;
      onWorst?.({ source: datum.source ?? `datum ${batch.indexOf(datum)}`, loss });
    }
    // What a regularizer would say of a broken model is beside the point.
    if (!regularizer || !Number.isFinite(task.loss)) return task;
    const { gradient } = task;
    const { loss, metrics, rows } = await regularizer.compute(part, logprobs, {
      ...shared,
      addTo,
      ...(options.full && { report: { taskGradient: gradient } }),
    });
    return { loss: task.loss + loss, gradient, metrics: { ...task.metrics, ...metrics }, rows };
  });
}

/** weight · regularizer over an anchor's rows of one step: no labels, no cross-entropy. */
export function anchorLoss(batch: readonly Datum[], regularizer: Regularizer, options: StepOptions): CustomLoss {
  const { step, full, signal } = options;
  const shared = { totalWeight: totalWeight(batch), batch, step, signal, ...(full && { report: {} }) };
  return inParts(options, (part, logprobs, addTo) => regularizer.compute(part, logprobs, { ...shared, addTo }));
}

type PartLoss = (...of: [...part: Parameters<CustomLoss["compute"]>, addTo: GradientSum]) => Promise<Penalty>;

function inParts({ onPart, zeros }: StepOptions, compute: PartLoss) {
  const loss: CustomLoss = {
    support: "vocabulary",
    compute: async (data, logprobs) => {
      const penalty = await compute(data, logprobs, { gradient: zeros(logprobs), scale: 1 });
      onPart({ data, metrics: penalty.metrics, rows: penalty.rows });
      return penalty;
    },
  };
  return loss;
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

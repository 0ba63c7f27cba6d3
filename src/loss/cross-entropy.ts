import { formatDatum } from "../data/format-datum.ts";
import { crossEntropy } from "../divergence/cross-entropy.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Item, Loss, OpenLoss, PositionValues, Span } from "./contract.ts";
import { namingDatum } from "./datum-error.ts";
import { targetsOf, weightOf, weightsOf } from "./items.ts";

/** Settings of `crossEntropyLoss`. */
export interface CrossEntropyOptions {
  /** Over the positions of a batch: their weighted mean or sum. Default `"mean"`. */
  readonly reduction?: "mean" | "sum" | undefined;
}

/** Cross-entropy within one step. */
export interface OpenCrossEntropy extends OpenLoss {
  /** The value of the parts so far. */
  readonly sofar: number;
}

/**
 * The task's own loss, next to which regularizers are added: Σ w·−log p[target] / Σ w, or with `"sum"` without the divisor.
 *
 * Its gradient with respect to the logits is w·(p − onehot) / Σ w; with respect to the targets' log-probabilities −w / Σ w.
 * Metric: `cross_entropy`, in nats per token. `positions` holds −log p[target] of every position, also of weight 0
 * (NaN there for a target outside the vocabulary). A target that the model holds impossible makes the loss +∞.
 *
 * @throws UserError that names the datum, for a target outside the vocabulary.
 * @example await backward(client, data, crossEntropyLoss());
 */
export function crossEntropyLoss({ reduction = "mean" }: CrossEntropyOptions = {}): Loss & {
  begin(batch: readonly Item[]): OpenCrossEntropy;
} {
  return {
    support: "either",
    begin: (batch) => {
      const totalWeight = reduction === "mean" ? weightOf(batch) : 1;
      const positions: PositionValues[] = [];
      let value = 0;
      return {
        add: ({ spans, logprobs }, { gradient, scale }) => {
          for (const [i, span] of spans.entries()) {
            const addTo = { gradient: gradient[i]!, scale };
            const known = logprobs[i]!;
            const found =
              known.shape.length === 1
                ? ofTargets(known, weightsOf(batch, span), totalWeight, addTo)
                : ofVocabulary(batch, span, known, totalWeight, addTo);
            value += found.value;
            positions.push({ datum: batch[span.index]!.datum, from: span.from, values: found.values });
          }
        },
        end: () => ({ value, metrics: { cross_entropy: value }, positions }),
        get sofar() {
          return value;
        },
      };
    },
  };
}

interface AddTo {
  readonly gradient: Tensor;
  readonly scale: number;
}

/** From whole distributions [n, V], on the kernel. */
function ofVocabulary(
  batch: readonly Item[],
  span: Span,
  logprobs: Tensor,
  totalWeight: number,
  { gradient, scale }: AddTo,
) {
  const [rows, size] = logprobs.shape as [number, number];
  const weights = weightsOf(batch, span);
  const targets = { data: targetsOf(batch, span), shape: [rows] };
  const values = Float32Array.from(targets.data, (token, row) => -logprobs.data[row * size + token]!);
  let value = 0;
  for (const [sign, own] of bySign(weights)) {
    const addTo = { gradient, scale: sign * scale };
    const part = namingDatum(batch, span, () =>
      crossEntropy.withGradient(logprobs, targets, { weights: own, totalWeight, addTo }),
    );
    value += sign * part.value;
    for (const [row, loss] of part.perRow.data.entries()) if (own[row] !== 0) values[row] = loss;
  }
  return { value, values };
}

/** Weights of each sign by their size, 0 elsewhere: linearized losses have weights below 0. */
function bySign(weights: Float32Array): (readonly [1 | -1, Float32Array])[] {
  if (!weights.some((weight) => weight < 0)) return [[1, weights]];
  return ([1, -1] as const).map((sign) => [sign, weights.map((weight) => Math.max(0, sign * weight))]);
}

/** From the log-probabilities of targets alone, [n]. */
function ofTargets({ data }: Tensor, weights: Float32Array, totalWeight: number, { gradient, scale }: AddTo) {
  let value = 0;
  for (const [row, weight] of weights.entries()) {
    if (weight === 0) continue;
    value -= (weight * data[row]!) / totalWeight;
    gradient.data[row]! -= (scale * weight) / totalWeight;
  }
  return { value, values: data.map((logprob) => -logprob) };
}

/** Where the datum that a model predicts worst came from, and its mean loss in nats per token. */
export function worstDatum(
  batch: readonly Item[],
  positions: readonly PositionValues[],
): { source: string; loss: number } {
  const sums = new Map<Item["datum"], { sum: number; total: number }>();
  for (const { datum, from, values } of positions) {
    const weights = batch.find((item) => item.datum === datum)!.weights;
    const all = sums.get(datum) ?? { sum: 0, total: 0 };
    sums.set(datum, all);
    for (const [i, value] of values.entries()) {
      const weight = weights[from + i]!;
      if (weight === 0) continue;
      all.sum += weight * value;
      all.total += weight;
    }
  }
  let worst = { source: "unknown", loss: Number.NEGATIVE_INFINITY };
  for (const [datum, { sum, total }] of sums) {
    const loss = total === 0 ? 0 : sum / total;
    if (loss <= worst.loss) continue;
    worst = {
      source:
        datum.source ??
        formatDatum(
          datum,
          batch.findIndex((item) => item.datum === datum),
        ),
      loss,
    };
    if (Number.isNaN(loss)) break;
  }
  return worst;
}

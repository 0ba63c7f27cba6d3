import type { Tensor } from "../divergence/tensor.ts";
import type { GradientSum, Item, Part, Span } from "../loss/contract.ts";
import { weightOf, weightsOf } from "../loss/items.ts";

/** @file What a regularizer on the contract itself needs: a mean over a batch, and the rows of a part as views. */

/** A weighted mean over the positions of a batch, in the making. */
export interface WeightedMean {
  /** Notes the value of row `row` of a span. Returns the position's share of the mean, w / Σ w: the factor of its gradient. */
  add(span: Span, row: number, value: number): number;
  /** Σ w·value / Σ w of the values so far. */
  readonly value: number;
}

/**
 * Σ w·value / Σ w over a batch, however its positions come.
 *
 * @example const mean = weightedMean(batch); const share = mean.add(span, row, value);
 */
export function weightedMean(batch: readonly Item[]): WeightedMean {
  const total = weightOf(batch);
  let value = 0;
  return {
    add: ({ index, from }, row, own) => {
      const weight = batch[index]!.weights[from + row]!;
      if (weight === 0) return 0;
      value += (weight * own) / total;
      return weight / total;
    },
    get value() {
      return value;
    },
  };
}

/** One row of a part that counts: where it is, the model's log-probabilities, and where its gradient is added. All [V], views. */
export interface PartRow {
  readonly span: Span;
  readonly row: number;
  readonly logP: Float32Array;
  readonly gradient: Float32Array;
}

/**
 * The rows of a part, [n, V] for each span, one after the other. Those of weight 0 are left out: what they hold may be
 * anything, NaN too, and must not matter.
 *
 * @example for (const { span, row, logP, gradient } of rowsOf(batch, part, into)) …
 */
export function* rowsOf(batch: readonly Item[], { spans, logprobs }: Part, into: GradientSum): Generator<PartRow> {
  for (const [i, span] of spans.entries()) {
    const size = logprobs[i]!.shape[1]!;
    const weights = weightsOf(batch, span);
    const at = ({ data }: Tensor, row: number) => data.subarray(row * size, (row + 1) * size);
    for (let row = 0; row < span.to - span.from; row++) {
      if (weights[row] === 0) continue;
      yield { span, row, logP: at(logprobs[i]!, row), gradient: at(into.gradient[i]!, row) };
    }
  }
}

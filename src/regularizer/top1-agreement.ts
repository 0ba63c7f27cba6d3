import { greatest, least } from "../common/extremes.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { isTopK, type ReferenceRows } from "../reference/contract.ts";

/**
 * The weight of the rows [n] whose most probable token is the same in model and reference; of equal ones the lower id
 * counts.
 *
 * @param p the model's log-probabilities, [n, V].
 */
export function top1AgreementWeight(p: Tensor, q: ReferenceRows, weights: Float32Array): number {
  let same = 0;
  for (const [row, weight] of weights.entries())
    if (weight > 0 && topOf(p, row) === topOfReference(q, row)) same += weight;
  return same;
}

function topOfReference(q: ReferenceRows, row: number): number {
  if (!isTopK(q)) return topOf(q, row);
  const k = q.tokens.shape.at(-1)!;
  const ids = q.tokens.data.subarray(row * k, (row + 1) * k);
  const logprobs = q.logprobs.data.subarray(row * k, (row + 1) * k);
  const most = greatest(logprobs);
  return least(ids.filter((_, i) => logprobs[i] === most));
}

function topOf({ data, shape }: Tensor, row: number): number {
  const size = shape.at(-1)!;
  const from = row * size;
  let top = from;
  let most = data[from]!;
  for (let i = from + 1; i < from + size; i++) {
    const value = data[i]!;
    if (value > most) {
      most = value;
      top = i;
    }
  }
  return top - from;
}

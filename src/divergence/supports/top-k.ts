import { KernelRows } from "../kernel/kernel-rows.ts";
import { topKKernel } from "../kernel/top-k-kernel.ts";
import { ROW_DEFAULTS, settings, within } from "../options.ts";
import { loadRow, rowScratch, takeOut } from "../row.ts";
import { formatShape, type IntTensor, sameShape, type Tensor } from "../tensor.ts";

/**
 * Distributions of which only k outcomes are known, and how much the rest has together: k + 1 outcomes instead of V.
 * Made by `topK` from what a server or a file gave, and by `selectTopK` from whole distributions.
 */
export interface TopK {
  readonly support: "topK";
  /** [..., k] token ids, in any order, none twice in a row. */
  readonly tokens: IntTensor;
  /** [..., k] their natural log-probabilities in the whole vocabulary. */
  readonly logprobs: Tensor;
  /** [...] log-probability of all other tokens together, where it is known exactly. */
  readonly tail: Tensor | undefined;
}

/**
 * Takes token ids and log-probabilities for distributions known at k tokens.
 *
 * Without `tail` the other tokens have 1 − Σ exp(logprobs). Float32 numbers cannot tell a tail below 1e-6 from none: one
 * that small is taken to agree with the other side's, as far as it can, and so never makes a divergence infinite.
 *
 * @param tokens, `logprobs`: [..., k] each; in nats, of the whole vocabulary (not renormalized).
 * @param options `tail`: [...] the log-probability of all other tokens together, −∞ for none.
 * @throws RangeError for shapes that do not match. Ids and sums are checked when a row is used.
 * @example topK({ data: Int32Array.of(7, 2), shape: [1, 2] }, tensor([0.5, 0.2].map(Math.log), [1, 2]))
 */
export function topK(tokens: IntTensor, logprobs: Tensor, { tail }: { readonly tail?: Tensor } = {}): TopK {
  if (!sameShape(tokens.shape, logprobs.shape) || tokens.data.length !== logprobs.data.length) {
    throw new RangeError(
      `tokens are ${formatShape(tokens.shape)} and logprobs ${formatShape(logprobs.shape)}: both must have the same shape [..., k]`,
    );
  }
  if (!tokens.shape.at(-1))
    throw new RangeError(`found shape ${formatShape(tokens.shape)}, expected at least one token a row`);
  if (tail && tail.data.length !== tokens.data.length / tokens.shape.at(-1)!) {
    throw new RangeError(
      `tail is ${formatShape(tail.shape)}, expected one number per row of ${formatShape(tokens.shape)}`,
    );
  }
  return { support: "topK", tokens, logprobs, tail };
}

/** The default of each option of `selectTopK`. */
export const SELECT_TOP_K_DEFAULTS = { temperature: ROW_DEFAULTS.temperature } as const;

/**
 * The k most probable tokens of each row, most probable first, with the exact log-probability of the rest. Of equal numbers
 * in p the lower id comes first.
 *
 * @param p [..., V] logits or log-probabilities: both are divided by the temperature and normalized.
 * @param options `temperature`, default 1.
 * @throws RangeError unless 1 ≤ k ≤ V, or for a temperature below 1e-200 or not finite.
 * @example selectTopK(tensor([0.1, 0.4, 0.2, 0.3].map(Math.log), [1, 4]), 2).tokens.data; // [1, 3]
 */
export function selectTopK(
  p: Tensor,
  k: number,
  { temperature = SELECT_TOP_K_DEFAULTS.temperature }: { readonly temperature?: number } = {},
): TopK {
  const size = p.shape.at(-1) ?? 0;
  within("k", k, Number.isInteger(k) && k >= 1 && k <= size, `a whole number from 1 to the vocabulary's ${size}`);
  const set = settings({ temperature, input: "logits" });
  const outer = p.shape.slice(0, -1);
  const rows = p.data.length / size;
  const tokens = new Int32Array(rows * k);
  const logprobs = new Float32Array(rows * k);
  const tail = new Float32Array(rows);
  const kernel = topKKernel(k, { tokens, logprobs, tail });
  KernelRows.makeRoom(kernel, p, undefined, 1);
  const values = new Float64Array(rows).fill(Number.NaN);
  KernelRows.open(kernel, p, undefined, set)?.compute(values, undefined);
  const row = rowScratch(size, false);
  for (let r = 0; r < rows; r++) {
    if (!Number.isNaN(values[r]!)) continue;
    loadRow(p.data, r * size, row.logP, row.p, set.inverseTemperature, true);
    const best = tokens.subarray(r * k, r * k + k);
    // By the numbers as given: their log-probabilities may be equal where they are not.
    const scores = p.data.subarray(r * size, (r + 1) * size);
    for (let id = 0; id < size; id++) insert(best, Math.min(id, k), id, scores);
    for (const [i, id] of best.entries()) logprobs[r * k + i] = row.logP[id]!;
    tail[r] = takeOut(row, best).log;
  }
  const shape = [...outer, k];
  return topK({ data: tokens, shape }, { data: logprobs, shape }, { tail: { data: tail, shape: outer } });
}

/** Inserts `id` among the `filled` best so far if it belongs there, and drops the last one when there is no room. */
function insert(best: Int32Array, filled: number, id: number, score: Float32Array): void {
  let at = filled;
  while (at > 0 && score[id]! > score[best[at - 1]!]!) at--;
  if (at === best.length) return;
  best.copyWithin(at + 1, at, Math.min(filled, best.length - 1));
  best[at] = id;
}

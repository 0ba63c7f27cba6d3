/** @file The positions of a batch that predict, as rows of matrices of bounded size. */
import { type Datum, rowCount } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { Span } from "../../loss/contract.ts";
import { type Batch, tokenOf } from "./batch.ts";

/** Positions whose log-probabilities are held together: whole data, or some positions of a long datum. */
export interface RowChunk {
  /** Which positions; the index counts in the list that was split into batches. */
  readonly spans: readonly Span[];
  /** Where each row sits among the batch's tokens. */
  readonly tokens: Int32Array;
}

/** Splits the positions of a batch into chunks of at most so many. */
export function* rowChunks(batch: Batch, rowsAtOnce: number): Generator<RowChunk> {
  let spans: Span[] = [];
  let tokens: number[] = [];
  for (const [i, datum] of batch.data.entries()) {
    const count = rowCount(datum);
    for (let from = 0; from < count; from += rowsAtOnce) {
      const to = Math.min(from + rowsAtOnce, count);
      if (tokens.length + to - from > rowsAtOnce) {
        yield { spans, tokens: Int32Array.from(tokens) };
        spans = [];
        tokens = [];
      }
      spans.push({ index: batch.indices[i]!, from, to });
      for (let position = from; position < to; position++) tokens.push(i * batch.length + tokenOf(datum, position));
    }
  }
  if (spans.length > 0) yield { spans, tokens: Int32Array.from(tokens) };
}

/** Rows of `matrix` [tokens, width], gathered into [rows, width]. */
export function gatherRows(matrix: Float32Array, width: number, tokens: Int32Array): Float32Array {
  const rows = new Float32Array(tokens.length * width);
  for (const [i, token] of tokens.entries()) rows.set(matrix.subarray(token * width, (token + 1) * width), i * width);
  return rows;
}

/** Adds each row of `rows` to the row of `matrix` that it was gathered from. */
export function scatterAdd(matrix: Float32Array, width: number, tokens: ArrayLike<number>, rows: Float32Array): void {
  for (let i = 0; i < tokens.length; i++) {
    const to = tokens[i]! * width;
    const from = i * width;
    for (let k = 0; k < width; k++) matrix[to + k]! += rows[from + k]!;
  }
}

/** Views of each span's rows [n, …width] within the numbers of all of them. */
export function perSpan(spans: readonly Span[], numbers: Float32Array, width: readonly number[]): Tensor[] {
  const size = width[0] ?? 1;
  let row = 0;
  return spans.map(({ from, to }) => {
    const end = row + to - from;
    const view = { data: numbers.subarray(row * size, end * size), shape: [to - from, ...width] };
    row = end;
    return view;
  });
}

/** [n] the log-probability of each position's target, out of [n, V]. */
export function targetLogprobs({ lossInputs }: Datum, { from, to }: Span, logprobs: Tensor, into: Float32Array): void {
  const targets = lossInputs.target_tokens.data;
  const vocabulary = logprobs.shape[1]!;
  for (let i = 0; i < to - from; i++) into[i] = logprobs.data[i * vocabulary + targets[from + i]!]!;
}

/**
 * Replaces log-probabilities [n, V] by the gradient with respect to the logits of a loss whose gradient with respect to the
 * log-probabilities of targets is g [n]: g·(onehot − p).
 */
export function throughLogSoftmax({ lossInputs }: Datum, { from, to }: Span, logprobs: Tensor, g: Tensor): void {
  const targets = lossInputs.target_tokens.data;
  const vocabulary = logprobs.shape[1]!;
  const { data } = logprobs;
  for (let i = 0; i < to - from; i++) {
    const gradient = g.data[i]!;
    const row = i * vocabulary;
    if (gradient === 0) data.fill(0, row, row + vocabulary);
    else {
      for (let k = row; k < row + vocabulary; k++) data[k] = -gradient * Math.exp(data[k]!);
      data[row + targets[from + i]!]! += gradient;
    }
  }
}

/** @file The rows of a batch that are predicted, in parts of bounded size, and what their distributions are made into. */
import { type Datum, rowCount, sliceRows } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { type Batch, rowPosition } from "./batch.ts";

/** Rows of a batch whose log-probabilities are held together: whole data, or some rows of one long datum. */
export interface RowPart {
  readonly data: readonly Datum[];
  /** Per datum of the part: its place in the batch, and the first of its rows that is here. */
  readonly from: readonly { readonly index: number; readonly row: number }[];
  /** Where each row sits among the batch's tokens. */
  readonly tokens: Int32Array;
}

/** Splits the rows of a batch into parts of at most so many. */
export function* rowParts(batch: Batch, rowsAtOnce: number): Generator<RowPart> {
  let pieces: { datum: Datum; index: number; row: number }[] = [];
  let rows = 0;
  for (const [index, datum] of batch.data.entries()) {
    const count = rowCount(datum);
    for (let row = 0; row < count; row += rowsAtOnce) {
      const piece = Math.min(rowsAtOnce, count - row);
      if (rows + piece > rowsAtOnce) {
        yield toPart(batch, pieces);
        pieces = [];
        rows = 0;
      }
      pieces.push({ datum: piece === count ? datum : sliceRows(datum, row, row + piece), index, row });
      rows += piece;
    }
  }
  if (pieces.length > 0) yield toPart(batch, pieces);
}

function toPart(batch: Batch, pieces: readonly { datum: Datum; index: number; row: number }[]): RowPart {
  const tokens = pieces.flatMap(({ datum, index }) =>
    Array.from({ length: rowCount(datum) }, (_, i) => index * batch.length + rowPosition(datum, i)),
  );
  return {
    data: pieces.map(({ datum }) => datum),
    from: pieces.map(({ index, row }) => ({ index, row })),
    tokens: Int32Array.from(tokens),
  };
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

/** Views of each datum's rows within a matrix of all of them. */
export function perDatum(data: readonly Datum[], rows: Float32Array, width: number): Tensor[] {
  let from = 0;
  return data.map((datum) => {
    const count = rowCount(datum);
    const view = { data: rows.subarray(from * width, (from + count) * width), shape: [count, width] };
    from += count;
    return view;
  });
}

/** [M] the log-probability of each row's target, out of [M, V]. */
export function targetLogprobs({ lossInputs }: Datum, logprobs: Tensor): Tensor {
  const targets = lossInputs.target_tokens.data;
  const vocabulary = logprobs.shape[1]!;
  return {
    data: Float32Array.from(targets, (token, row) => logprobs.data[row * vocabulary + token]!),
    shape: [targets.length],
  };
}

/** −Σ w·log p over all rows. */
export function negativeLogLikelihood(data: readonly Datum[], logprobs: readonly Tensor[]): number {
  let sum = 0;
  for (const [i, { lossInputs }] of data.entries()) {
    for (const [row, weight] of lossInputs.weights.data.entries()) {
      if (weight !== 0) sum -= weight * logprobs[i]!.data[row]!;
    }
  }
  return sum;
}

/** The gradient with respect to the logits [M, V] of a loss whose gradient at the target log-probabilities is g [M]: g·(onehot − p). */
export function throughLogSoftmax({ lossInputs }: Datum, logprobs: Tensor, g: Tensor): Tensor {
  const vocabulary = logprobs.shape[1]!;
  const data = new Float32Array(logprobs.data.length);
  for (const [row, token] of lossInputs.target_tokens.data.entries()) {
    const from = row * vocabulary;
    const slope = g.data[row]!;
    if (slope === 0) continue;
    for (let i = from; i < from + vocabulary; i++) data[i] = -slope * Math.exp(logprobs.data[i]!);
    data[from + token]! += slope;
  }
  return { data, shape: logprobs.shape };
}

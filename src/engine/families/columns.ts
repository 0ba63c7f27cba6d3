/** @file What a decoder is fed besides embeddings and weights: where tokens lie, and which of them each one sees. */

import type { IntTensor, Tensor } from "../../divergence/tensor.ts";
import type { Attention } from "./attention.ts";
import type { ModelConfig } from "./model-config.ts";

/** The columns of a pass over a batch of sequences. */
export interface Columns {
  /** Where each sequence begins: columns before that are padding. */
  readonly starts: readonly number[];
  /** Columns that are read. */
  readonly length: number;
  /** With a cache: columns that were read before. Without: absent, and all sequences begin at column 0. */
  readonly past?: number;
}

/** A score so low that its softmax is exactly 0 in float32, yet finite, so that a row of padding stays a number. */
const MASKED = -1e30;

/** Sizes of all named dimensions of a decoder. */
export function decoderDims(
  config: ModelConfig,
  { starts: { length: batch }, length, past = 0 }: Columns,
): Readonly<Record<string, number>> {
  const queries = (config.heads / config.kvHeads) * length;
  return { batch, length, tokens: batch * length, queries, past, context: past + length };
}

/** [batch, length] positions of the columns, counted from each sequence's start. */
export function tokenPositions({ starts, length, past = 0 }: Columns): IntTensor {
  const data = Int32Array.from({ length: starts.length * length }, (_, i) =>
    Math.max(0, past + (i % length) - starts[Math.floor(i / length)]!),
  );
  return { data, shape: [starts.length, length] };
}

/**
 * 0 where a column is seen, `MASKED` where not: columns after the query's, padding before a start, and what lies beyond the
 * window. Without a cache one mask [queries, length] for all sequences, whose padding comes last; with one
 * [batch, 1, queries, context].
 */
export function attentionMask(config: ModelConfig, { window }: Attention, columns: Columns): Tensor {
  const { starts, length, past } = columns;
  const queries = (config.heads / config.kvHeads) * length;
  const context = (past ?? 0) + length;
  const batch = past === undefined ? [0] : starts;
  const data = new Float32Array(batch.length * queries * context);
  for (const [b, start] of batch.entries()) {
    for (let query = 0; query < queries; query++) {
      const row = (b * queries + query) * context;
      const end = (past ?? 0) + (query % length) + 1;
      const first = window === null ? start : Math.max(start, end - window);
      data.fill(MASKED, row, row + first);
      data.fill(MASKED, row + end, row + context);
    }
  }
  return { data, shape: past === undefined ? [queries, length] : [starts.length, 1, queries, context] };
}

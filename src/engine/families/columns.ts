/** @file What a decoder is fed besides embeddings and weights: where tokens lie, and which of them each one sees. */

import type { IntTensor, Tensor } from "../../divergence/tensor.ts";
import type { Attention } from "./attention.ts";
import type { ModelConfig } from "./model-config.ts";

/** The columns of a pass over a batch of sequences. A shorter sequence has padding after it. */
export interface Columns {
  /** Sequences. */
  readonly batch: number;
  /** Columns that are read. */
  readonly length: number;
  /** With a cache: how many tokens each sequence has there, and the columns that the cache has. */
  readonly cache?: { readonly lengths: readonly number[]; readonly columns: number };
}

/** A score so low that its softmax is exactly 0 in float32, yet finite, so that a row of padding stays a number. */
const MASKED = -1e30;

/** Sizes of all named dimensions of a decoder. */
export function decoderDims(config: ModelConfig, { batch, length, cache }: Columns): Readonly<Record<string, number>> {
  const queries = (config.heads / config.kvHeads) * length;
  const past = cache?.columns ?? 0;
  return { batch, length, tokens: batch * length, queries, past, context: past + length };
}

/** [batch, length] positions of the columns in their sequences. */
export function tokenPositions({ batch, length, cache }: Columns): IntTensor {
  const data = Int32Array.from(
    { length: batch * length },
    (_, i) => (cache?.lengths[Math.floor(i / length)] ?? 0) + (i % length),
  );
  return { data, shape: [batch, length] };
}

/**
 * 0 where a column is seen, `MASKED` where not: columns after the query's, cached ones that are not the sequence's, and what
 * lies beyond the window. Without a cache one mask [queries, length] for all sequences; with one
 * [batch, 1, queries, past + length], earlier columns first.
 */
export function attentionMask(config: ModelConfig, { window }: Attention, { batch, length, cache }: Columns): Tensor {
  const queries = (config.heads / config.kvHeads) * length;
  const past = cache?.columns ?? 0;
  const context = past + length;
  const lengths = cache?.lengths ?? [0];
  const data = new Float32Array(lengths.length * queries * context).fill(MASKED);
  for (const [b, before] of lengths.entries()) {
    for (let query = 0; query < queries; query++) {
      const row = (b * queries + query) * context;
      const position = before + (query % length);
      const first = window === null ? 0 : Math.max(0, position + 1 - window);
      if (first < before) data.fill(0, row + first, row + before);
      const now = row + past;
      data.fill(0, now + Math.max(0, first - before), now + (query % length) + 1);
    }
  }
  return { data, shape: cache ? [batch, 1, queries, context] : [queries, length] };
}

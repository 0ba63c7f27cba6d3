import type { Datum } from "../data/datum.ts";
import type { TopK } from "../divergence/supports/top-k.ts";
import type { Tensor } from "../divergence/tensor.ts";

/** The reference's distributions for the rows of one datum: over the whole vocabulary [M, V], or known at k tokens of it. */
export type ReferenceRows = Tensor | TopK;

/** What a reference may use beyond the data that it is asked about. */
export interface ResolveOptions {
  /**
   * The batch that `data` are part of: some of its datums, or rows cut from them. What is costly to ask for is asked for
   * once for all of it. Default: `data`.
   */
  readonly batch?: readonly Datum[] | undefined;
  /** The step of training, counted from 1: what a reference that moves goes by. Default 1. */
  readonly step?: number | undefined;
  /** Ends work early: `resolve` then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Where the reference distribution q comes from. Resolved once per step for a whole batch: the rows of each datum, in the
 * order of `data`. One that always knows the whole vocabulary is a `Reference<Tensor>`.
 */
export interface Reference<Rows extends ReferenceRows = ReferenceRows> {
  /** For messages and the record of a run: `base`, `field "base_logprobs"`, … */
  readonly description: string;
  /** @throws UserError, by rejecting, that names the datum whose rows it cannot give. */
  resolve(data: readonly Datum[], options?: ResolveOptions): Promise<readonly Rows[]>;
}

/** Whether these rows are known at k tokens only. */
export function isTopK(rows: ReferenceRows): rows is TopK {
  return "support" in rows;
}

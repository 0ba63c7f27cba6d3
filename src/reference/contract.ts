import type { Datum } from "../data/datum.ts";
import type { TopK } from "../divergence/supports/top-k.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Span, Step } from "../loss/contract.ts";
import type { Stateful } from "../loss/state.ts";

/** A reference's distributions for n positions: over the whole vocabulary [n, V], or known at k tokens of it. */
export type ReferenceRows = Tensor | TopK;

/**
 * Where the reference distribution q comes from. Within a step it is begun with the whole batch, then asked for the
 * positions of each part. One that always knows the whole vocabulary is a `Reference<Tensor>`.
 */
export interface Reference<Rows extends ReferenceRows = ReferenceRows> {
  /** For messages and the record of a run: `base`, `field "base_logprobs"`, … */
  readonly description: string;
  /** What changes from step to step, if anything does. */
  readonly state?: Stateful | undefined;
  /**
   * Begins a step. Regularizers that share a reference begin it each with their own data: within one `step` object, a
   * datum is asked about once for all of them.
   *
   * @throws UserError, by rejecting, that names the datum whose rows it cannot give.
   */
  begin(data: readonly Datum[], step: Step): Promise<OpenReference<Rows>>;
}

/** A reference within one step. */
export interface OpenReference<Rows extends ReferenceRows = ReferenceRows> {
  /**
   * The rows of each span, whose `index` counts in the data that the reference was begun with: the rows of a whole datum, or
   * views of a part of them. Asked again with the same `spans` object, it gives the same answer without computing it again,
   * unless other spans came in between. Rows over the whole vocabulary may live in memory that the next call with other spans
   * writes over.
   */
  rows(spans: readonly Span[]): Promise<readonly Rows[]>;
}

/** Whether these rows are known at k tokens only. */
export function isTopK(rows: ReferenceRows): rows is TopK {
  return "support" in rows;
}

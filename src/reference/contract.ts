import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";

/**
 * Where the reference distribution q comes from. Resolved once per step for a whole batch: one tensor of
 * log-probabilities per datum, [M, V], in the order of `data`.
 */
export interface Reference {
  /** For messages and the record of a run: `base`, `field "base_logprobs"`, … */
  readonly description: string;
  resolve(data: readonly Datum[]): Promise<readonly Tensor[]>;
}

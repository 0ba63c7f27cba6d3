import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";

/** Settings of one `compute` call that depend on the step, not on the regularizer. */
export interface ComputeOptions {
  /**
   * What a `mean` divides by. Default: the Σ of the row weights of `data`. A trainer that splits a batch passes the
   * whole batch's total, so that the parts add up to the same loss.
   */
  readonly totalWeight?: number;
  /** The whole batch, where `data` is a part of it: what is costly can be asked for once for all. Default: `data`. */
  readonly batch?: readonly Datum[] | undefined;
  /** Ends work early: `compute` then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The step of training, counted from 1: what weights that change go by. Default 1. */
  readonly step?: number;
  /** Given in steps that are reported in full: what costs more than a look is measured too. */
  readonly report?: FullReport | undefined;
  /**
   * Add `scale` · gradient to these tensors, one per datum, and return them as `gradient`, instead of allocating others.
   * Saves memory where several penalties meet. Loss and metrics are not scaled. A regularizer may ignore this.
   */
  readonly addTo?: GradientSum;
}

/** A sum of gradients in the making: one tensor [M, V] per datum, and what the next gradient is multiplied by. */
export interface GradientSum {
  readonly gradient: readonly Tensor[];
  readonly scale: number;
}

/** What a full report is made against. */
export interface FullReport {
  /** The gradient of the task's own loss, one tensor [M, V] per datum; absent where there is no task, as on an anchor. */
  readonly taskGradient?: readonly Tensor[];
}

/** Each row's own value [M], one tensor per datum, and how much each row counts. */
export interface RowValues {
  readonly values: readonly Tensor[];
  readonly weights: readonly Tensor[];
}

/** What a regularizer, or any loss over log-probabilities, returns. */
export interface Penalty {
  /** The scalar that training minimizes, in nats. */
  readonly loss: number;
  /**
   * One tensor per datum, shaped like its log-probabilities [M, V]: the gradient of `loss` with respect to the logits
   * (log-probabilities are logits too, so it is right for both, and zero where the loss is at its minimum).
   */
  readonly gradient: readonly Tensor[];
  /** Numbers to log. Parts of a batch merge by name, see `mergePenaltyMetrics`: extremes, or else sums. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What each row contributes, by name, for what no merging of numbers gives: quantiles, and the worst tokens. */
  readonly rows?: Readonly<Record<string, RowValues>> | undefined;
}

/**
 * A data-aware penalty on the model's distributions. `logprobs[i]` is the model's log-probabilities for the rows of
 * `data[i]`, [M, V]. They may live in memory that the caller reuses: read them during the call only.
 */
export interface Regularizer {
  /** Unique in a composition; prefixes its metrics there. */
  readonly name: string;
  /** @throws UserError, by rejecting, for data or distributions that it can make nothing of, naming the datum. */
  compute(data: readonly Datum[], logprobs: readonly Tensor[], options?: ComputeOptions): Promise<Penalty>;
  /** Hears of each step once, with what was measured of it over the whole batch. What has a state may change it here. */
  observe?(step: number, measured: Readonly<Record<string, number>>): void;
}

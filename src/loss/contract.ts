import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";

/** A datum of a step, and how much each of its M positions counts there. */
export interface Item {
  readonly datum: Datum;
  /** [M] the datum's own weights, or what a regularizer made of them; a position of weight 0 contributes nothing. */
  readonly weights: Float32Array;
}

/** The positions `from` to before `to` of item `index` of a batch. */
export interface Span {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Log-probabilities of some positions of a batch: one tensor per span, with n = to − from rows. [n, V] is the whole
 * distribution of each position; [n] the log-probability of its target alone. Valid until the call that brings it settles.
 */
export interface Part {
  readonly spans: readonly Span[];
  readonly logprobs: readonly Tensor[];
}

/** Where a loss adds `scale` · its gradient: one tensor per span, shaped like the part's log-probabilities. */
export interface GradientSum {
  readonly gradient: readonly Tensor[];
  readonly scale: number;
}

/** One step of training. */
export interface Step {
  /** Counted from 1. */
  readonly number: number;
  /** Whether this step is reported in full: gradient norms, shared top tokens, and whatever else costs more than a look. */
  readonly full: boolean;
  /** Ends work early: what waits then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What a loss measured over a whole batch. */
export interface Measured {
  /** The scalar that training minimizes, in nats. */
  readonly value: number;
  /** Numbers to log, under any names. */
  readonly metrics: Readonly<Record<string, number>>;
  /** The value of each position, where the loss is a mean or sum over positions. */
  readonly positions?: readonly PositionValues[] | undefined;
}

/**
 * Values of the positions `from`, `from` + 1, … of a datum. What a position of weight 0 has is no part of any mean: 0, unless
 * the loss says otherwise.
 */
export interface PositionValues {
  readonly datum: Datum;
  readonly from: number;
  readonly values: Float32Array;
}

/** Which log-probabilities there are: of the whole vocabulary, [n, V], or of each position's target alone, [n]. */
export type Support = "vocabulary" | "targets";

/**
 * A loss over a model's log-probabilities. A step has a beginning and an end: the loss sees the whole batch once, then
 * parts of its log-probabilities as the engine computes them, then says what it measured.
 */
export interface Loss {
  /** What `add` needs: `"vocabulary"`, `"targets"`, or `"either"` if it takes both. Default `"vocabulary"`. */
  readonly support?: Support | "either";
  /**
   * Begins a step with all of its items. What is costly, such as asking a server, is done here, once.
   *
   * @throws UserError, also by rejecting, for items it cannot use, naming the datum.
   */
  begin(batch: readonly Item[], step: Step): OpenLoss | Promise<OpenLoss>;
}

/** A loss within one step. */
export interface OpenLoss {
  /**
   * Adds `into.scale` · gradient for some positions; each position of the batch comes exactly once, in any order. The
   * gradient is with respect to the logits for [n, V] (log-probabilities are logits too, so it is right for both), with
   * respect to the log-probabilities of the targets for [n].
   */
  add(part: Part, into: GradientSum): void | Promise<void>;
  /** What was measured over all parts. Called once, after the last of them. */
  end(): Measured;
}

/** Takes log-probabilities in and adds the gradient: what an engine calls during a pass over data. */
export type AddPart = OpenLoss["add"];

import { type Datum, rowCount } from "../data/datum.ts";
import type { Item, Span, Step } from "./contract.ts";

/** A step by itself: what a loss that is used outside of training is begun with. */
export const SINGLE_STEP: Step = { number: 1, full: false };

/** Data with their own weights. */
export function itemsOf(data: readonly Datum[]): Item[] {
  return data.map((datum) => ({ datum, weights: datum.lossInputs.weights.data }));
}

/** Σ w over all positions of a batch: what every mean divides by, once. */
export function weightOf(batch: readonly Item[]): number {
  let total = 0;
  for (const { weights } of batch) for (const weight of weights) total += weight;
  return total;
}

/** All positions of each item, as one span each. */
export function wholeSpans(batch: readonly Item[]): Span[] {
  return batch.map(({ datum }, index) => ({ index, from: 0, to: rowCount(datum) }));
}

/** The weights of a span's positions, [n]. */
export function weightsOf(batch: readonly Item[], { index, from, to }: Span): Float32Array {
  return batch[index]!.weights.subarray(from, to);
}

/** The targets of a span's positions, [n]. */
export function targetsOf(batch: readonly Item[], { index, from, to }: Span): Int32Array {
  return batch[index]!.datum.lossInputs.target_tokens.data.subarray(from, to);
}

import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Row, RowFormula } from "../divergence/row.ts";
import { overRows } from "../divergence/rows.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { isTopK, type ReferenceRows } from "../reference/contract.ts";
import { type ReferenceOptions, resolveReference } from "../reference/resolve.ts";
import type { Regularizer } from "./contract.ts";
import type { Measure } from "./position-loss.ts";
import { PositionRegularizer } from "./position-regularizer.ts";

/** What regularizers of your own have in common: a name, perhaps a reference, and a value for each position. */
export interface OwnRegularizerOptions extends ReferenceOptions {
  /** Unique in a composition; also the name of its metric. */
  readonly name: string;
  /** Over the positions of a batch: their weighted `"mean"` or `"sum"`. Default `"mean"`. */
  readonly reduction?: "mean" | "sum" | undefined;
}

/** One position as a formula sees it, in float64. Valid during the call: the arrays are used again for the next one. */
export interface Position {
  /** The model's probabilities, and their natural logarithms, [V]. */
  readonly p: Float64Array;
  readonly logP: Float64Array;
  /** The reference's; empty where there is no reference. */
  readonly q: Float64Array;
  readonly logQ: Float64Array;
  readonly datum: Datum;
  /** Which position of the datum this is. */
  readonly position: number;
}

/** What a formula makes of a position. */
export interface PositionValue {
  /** To be minimized. */
  readonly value: number;
  /** [V] its derivative with respect to each `logP`, as if they were free; with respect to logits does as well. */
  readonly gradient: ArrayLike<number>;
}

/** A formula, a name for it, and perhaps a reference. */
export interface PerPositionOptions extends OwnRegularizerOptions {
  /** Called for every position of weight > 0. */
  readonly measure: (position: Position) => PositionValue;
}

/**
 * A regularizer of your own, from a closed form: the value at one position and its gradient.
 *
 * The gradient g may be with respect to the log-probabilities, each taken as free: it passes through the log-softmax,
 * g − p·Σ g, and so becomes one with respect to the logits. A gradient with respect to logits sums to 0 already, and
 * passes unchanged. From derivatives s with respect to the probabilities, g is p·s.
 *
 * With one of the references it compares, and `q`, `logQ` are filled in. Masking, weights, means and parts of a batch are
 * taken care of. Metrics: `name`, the mean, `name_max`, `name_min`, ….
 *
 * @throws UserError for more than one reference; in a step, naming the datum, for a gradient of another length, values or
 * gradients that are not finite, or a reference that knows k tokens only.
 * @example
 * const certainty = perPosition({
 *   name: "certainty", // Σ p², the probability that two draws agree
 *   measure: ({ p }) => ({ value: p.reduce((sum, x) => sum + x * x, 0), gradient: p.map((x) => x * 2 * x) }),
 * });
 */
export function perPosition({ measure, ...options }: PerPositionOptions): Regularizer {
  return ownRegularizer(options, ({ batch, spans }) => (p, rows, how, i) => {
    const { index, from } = spans[i]!;
    const { datum } = batch[index]!;
    const q = rows && wholeVocabulary(rows, datum, index);
    return overRows<"mean">(asFormula(measure, datum, from, q !== undefined), p, q, how, true);
  });
}

/**
 * A regularizer that measures positions in a way of its own. Metrics: `name`, the mean, `name_max`, `name_min`, ….
 *
 * @throws UserError for more than one reference, or an invalid reduction.
 */
export function ownRegularizer(
  { name, reduction = "mean", ...references }: OwnRegularizerOptions,
  prepare: Measure["prepare"],
): Regularizer {
  if (reduction !== "mean" && reduction !== "sum") {
    throw new UserError(
      `the reduction of the regularizer "${name}" is ${JSON.stringify(reduction)}, expected mean or sum`,
    );
  }
  const compares = Object.values(references).some((reference) => reference != null);
  const reference = compares ? resolveReference(references) : undefined;
  const measure = { what: name, formula: name, metric: name, prefix: name, prepare };
  return new PositionRegularizer({ name, reduction, reference, measure });
}

/** @throws UserError for a reference that knows its top k tokens only. */
export function wholeVocabulary(rows: ReferenceRows, datum: Datum, index: number): Tensor {
  if (!isTopK(rows)) return rows;
  throw new UserError(
    `the reference of ${formatDatum(datum, index)} knows its most probable tokens only, expected the whole vocabulary: give one that does, such as the base`,
  );
}

const NONE = new Float64Array(0);

function asFormula(measure: PerPositionOptions["measure"], datum: Datum, from: number, compares: boolean): RowFormula {
  return ({ p, logP, q, logQ, gradient, index }: Row) => {
    const position = from + index;
    const found = measure({ p, logP, q: compares ? q : NONE, logQ: compares ? logQ : NONE, datum, position });
    if (!gradient) return found.value;
    if (found.gradient.length !== p.length) {
      throw new RangeError(
        `the gradient at position ${position} holds ${found.gradient.length} numbers, expected ${p.length}, one per token`,
      );
    }
    let sum = 0;
    for (let i = 0; i < p.length; i++) sum += found.gradient[i]!;
    if (Number.isFinite(found.value) && !Number.isFinite(sum)) {
      throw new RangeError(`the gradient at position ${position} is not finite, though its value is ${found.value}`);
    }
    for (let i = 0; i < p.length; i++) gradient[i] = found.gradient[i]! - p[i]! * sum;
    return found.value;
  };
}

import type { Datum } from "../data/datum.ts";
import type { Row, RowFormula } from "../divergence/row.ts";
import { overRows } from "../divergence/rows.ts";
import type { Regularizer } from "../loss/legacy.ts";
import { type RowsRegularizerOptions, rowsRegularizer, wholeVocabulary } from "./rows-regularizer.ts";

/** One row as a formula sees it, in float64. Valid during the call: the arrays are used again for the next row. */
export interface CustomRow {
  /** The model's probabilities, and their natural logarithms, [V]. */
  readonly p: Float64Array;
  readonly logP: Float64Array;
  /** The reference's; empty where there is no reference. */
  readonly q: Float64Array;
  readonly logQ: Float64Array;
  readonly datum: Datum;
  /** Which row of the datum this is. */
  readonly row: number;
}

/** What a formula makes of a row. */
export interface CustomValue {
  /** To be minimized. */
  readonly value: number;
  /** [V] its derivative with respect to each `logP`, as if they were free; with respect to logits does as well. */
  readonly gradient: ArrayLike<number>;
}

/** A formula, a name for it, and perhaps a reference. */
export interface CustomOptions extends RowsRegularizerOptions {
  /** Called for every row of weight above 0. */
  readonly compute: (row: CustomRow) => CustomValue;
}

/**
 * A regularizer of your own, from a closed form: the value of one row and its gradient.
 *
 * The gradient g may be with respect to the log-probabilities, each taken as free: it passes through the log-softmax,
 * g − p·Σ g, and so becomes one with respect to the logits. A gradient with respect to logits sums to 0 already, and
 * passes unchanged. From derivatives s with respect to the probabilities, g is p·s.
 *
 * With one of the references it compares, and `q`, `logQ` are filled in. Masking, weights, means and splitting are taken care
 * of. Metrics: `name`, the mean, `name_max`, `name_min`.
 *
 * @throws UserError for more than one reference; from `compute`, naming the datum, for a gradient of another length, values
 * or slopes that are not finite, or a reference that knows k tokens only.
 * @example
 * const certainty = customRegularizer({
 *   name: "certainty", // Σ p², the probability that two draws agree
 *   compute: ({ p }) => ({ value: p.reduce((sum, x) => sum + x * x, 0), gradient: p.map((x) => x * 2 * x) }),
 * });
 */
export function customRegularizer({ compute, ...options }: CustomOptions): Regularizer {
  return rowsRegularizer(options, () => (p, rows, how, { datum, index }) => {
    const q = rows && wholeVocabulary(rows, datum, index);
    return overRows<"mean">(asFormula(compute, datum, q !== undefined), p, q, how, true);
  });
}

const NONE = new Float64Array(0);

function asFormula(compute: CustomOptions["compute"], datum: Datum, compares: boolean): RowFormula {
  return ({ p, logP, q, logQ, gradient, index }: Row) => {
    const found = compute({ p, logP, q: compares ? q : NONE, logQ: compares ? logQ : NONE, datum, row: index });
    if (!gradient) return found.value;
    if (found.gradient.length !== p.length) {
      throw new RangeError(
        `the gradient of row ${index} holds ${found.gradient.length} numbers, expected ${p.length}, one per token`,
      );
    }
    let sum = 0;
    for (let i = 0; i < p.length; i++) sum += found.gradient[i]!;
    if (Number.isFinite(found.value) && !Number.isFinite(sum)) {
      throw new RangeError(`the gradient of row ${index} is not finite, though its value is ${found.value}`);
    }
    for (let i = 0; i < p.length; i++) gradient[i] = found.gradient[i]! - p[i]! * sum;
    return found.value;
  };
}

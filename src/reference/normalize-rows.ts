import { UserError } from "../common/errors.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { logSoftmax } from "../divergence/log-softmax.ts";
import { topK } from "../divergence/supports/top-k.ts";
import { formatShape, type Tensor } from "../divergence/tensor.ts";
import { checkRows } from "./check-rows.ts";
import { isTopK, type ReferenceRows } from "./contract.ts";

/** The format of log-probabilities from outside, where it is not the whole vocabulary at temperature 1. */
export interface InputFormat {
  /**
   * They were divided by this temperature, or are of a softmax at it: q ∝ exp(T·x) restores temperature 1. Only possible over
   * the whole vocabulary. Default 1.
   */
  readonly temperature?: number | undefined;
  /**
   * They are of the target tokens alone, [M] per datum. Each position then has two outcomes, its target and any other token,
   * and a divergence is a lower bound. Default false.
   */
  readonly targets?: boolean | undefined;
}

/** Defaults of references that are given, in a field of the data, or in a file. */
export const FIELD_DEFAULTS = { temperature: 1 } as const;

/** Checks the rows of one datum, and converts them from their format. */
export type NormalizeRows = (datum: Datum, index: number, rows: ReferenceRows) => ReferenceRows;

/**
 * @param description the reference's name, for messages.
 * @throws UserError for an invalid temperature; the function itself throws what `checkRows` throws, and for rows that are not
 * in the format.
 */
export function rowNormalizer(
  description: string,
  { temperature = FIELD_DEFAULTS.temperature, targets = false }: InputFormat = {},
): NormalizeRows {
  if (!(temperature > 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new UserError(`the reference's temperature is ${temperature}, expected a finite number > 0`);
  }
  if (targets && temperature !== 1) {
    throw new UserError(
      `the reference's log-probabilities are of target tokens alone at temperature ${temperature}, which cannot be converted without the rest of the vocabulary: give them at temperature 1`,
    );
  }
  return (datum, index, rows) => {
    const where = `the reference (${description}), ${formatDatum(datum, index)},`;
    const given: unknown = rows;
    if (typeof given !== "object" || given === null || !("shape" in given || "support" in given)) {
      throw new UserError(`${where} is ${JSON.stringify(given)}, expected a tensor [M, V] or a topK`);
    }
    const normalized = targets
      ? fromTargets(datum, rows, where)
      : temperature === 1
        ? rows
        : atTemperature1(rows, temperature, where);
    checkRows(datum, index, normalized, description);
    return normalized;
  };
}

function fromTargets(datum: Datum, rows: ReferenceRows, where: string): ReferenceRows {
  const count = rowCount(datum);
  if (isTopK(rows) || rows.data.length !== count) {
    const found = isTopK(rows) ? `a top-k ${formatShape(rows.logprobs.shape)}` : formatShape(rows.shape);
    throw new UserError(
      `${where} has the format { targets: true }, expected [${count}], one number per target token, found ${found}`,
    );
  }
  const shape = [count, 1];
  return topK({ data: datum.lossInputs.target_tokens.data, shape }, { data: rows.data, shape });
}

/** log softmax(T·x) of each row. */
function atTemperature1(rows: ReferenceRows, temperature: number, where: string): Tensor {
  if (isTopK(rows)) {
    throw new UserError(
      `${where} is a top-k at temperature ${temperature}, which cannot be converted without the rest of the vocabulary: ask for it at temperature 1`,
    );
  }
  return logSoftmax(rows, { temperature: 1 / temperature });
}

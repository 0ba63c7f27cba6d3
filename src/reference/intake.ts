import { UserError } from "../common/errors.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { logSoftmax } from "../divergence/log-softmax.ts";
import { topK } from "../divergence/supports/top-k.ts";
import { formatShape, type Tensor } from "../divergence/tensor.ts";
import { checkRows } from "./check-rows.ts";
import { isTopK, type ReferenceRows } from "./legacy.ts";

/** What log-probabilities from outside are, where they are not those of the whole vocabulary at temperature 1. */
export interface Declared {
  /**
   * They were divided by this temperature, or are of a softmax at it: q ∝ exp(T·x) takes them back to 1. Possible over the
   * whole vocabulary alone. Default 1.
   */
  readonly temperature?: number | undefined;
  /**
   * They are of the target tokens alone, [M] per datum. Each row then knows two outcomes, its target and any other token,
   * and a divergence is a lower bound. Default false.
   */
  readonly sampled?: boolean | undefined;
}

/** Takes one datum's rows in: checks them, after doing with them what was declared. */
export type Intake = (datum: Datum, index: number, rows: ReferenceRows) => ReferenceRows;

/**
 * @param description the reference's name, for messages.
 * @throws UserError for a temperature that is none; from the intake, what `checkRows` throws, and for rows that are not
 * what was declared.
 */
export function intake(description: string, { temperature = 1, sampled = false }: Declared = {}): Intake {
  if (!(temperature > 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new UserError(`the reference's temperature is ${temperature}, expected a finite number above 0`);
  }
  if (sampled && temperature !== 1) {
    throw new UserError(
      `the reference is declared as sampled at temperature ${temperature}, which cannot be taken back from single tokens: give their log-probabilities at temperature 1`,
    );
  }
  return (datum, index, rows) => {
    const where = `the reference (${description}), ${formatDatum(datum, index)},`;
    const given: unknown = rows;
    if (typeof given !== "object" || given === null || !("shape" in given || "support" in given)) {
      throw new UserError(`${where} is ${JSON.stringify(given)}, expected a tensor [M, V] or a topK`);
    }
    const restored = sampled
      ? outOfTargets(datum, rows, where)
      : temperature === 1
        ? rows
        : untempered(rows, temperature, where);
    checkRows(datum, index, restored, description);
    return restored;
  };
}

function outOfTargets(datum: Datum, rows: ReferenceRows, where: string): ReferenceRows {
  const count = rowCount(datum);
  if (isTopK(rows) || rows.data.length !== count) {
    const found = isTopK(rows) ? `a top-k ${formatShape(rows.logprobs.shape)}` : formatShape(rows.shape);
    throw new UserError(
      `${where} is declared as sampled, expected [${count}], one number a target token, found ${found}`,
    );
  }
  const shape = [count, 1];
  return topK({ data: datum.lossInputs.target_tokens.data, shape }, { data: rows.data, shape });
}

/** log softmax(T·x) of each row. */
function untempered(rows: ReferenceRows, temperature: number, where: string): Tensor {
  if (isTopK(rows)) {
    throw new UserError(
      `${where} is a top-k at temperature ${temperature}, which cannot be taken back without the rest of the vocabulary: ask for it at temperature 1`,
    );
  }
  return logSoftmax(rows, { temperature: 1 / temperature });
}

import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { NotNormalizedError } from "../divergence/not-normalized.ts";

/** Runs the mathematics of one datum; what it refuses becomes an error that says which datum that was. */
export function namingDatum<T>(datum: Datum, index: number, compute: () => T, reference = "reference"): T {
  try {
    return compute();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const where = formatDatum(datum, index);
    if (!(cause instanceof NotNormalizedError)) throw new UserError(`${where}: ${cause.message}`, { cause });
    const whose = cause.side === "p" ? "the model's log-probabilities" : `the reference (${reference})`;
    throw new UserError(
      `${whose}, ${where}, row ${cause.row}: the probabilities sum to ${Number(cause.sum.toPrecision(4))}, expected 1 within 0.001: ` +
        "give log-probabilities over the whole vocabulary, not logits, not tempered, filtered or of sampled tokens alone",
      { cause },
    );
  }
}

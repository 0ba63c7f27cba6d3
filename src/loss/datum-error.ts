import { UserError } from "../common/errors.ts";
import { formatDatum } from "../data/format-datum.ts";
import { NotNormalizedError } from "../divergence/not-normalized.ts";
import type { Item, Span } from "./contract.ts";

/** Runs the mathematics of one span; a `RangeError` becomes a UserError that names the datum. */
export function namingDatum<T>(
  batch: readonly Item[],
  { index, from }: Span,
  compute: () => T,
  reference = "reference",
): T {
  try {
    return compute();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const where = formatDatum(batch[index]!.datum, index);
    if (!(cause instanceof NotNormalizedError)) throw new UserError(`${where}: ${cause.message}`, { cause });
    const whose = cause.side === "p" ? "the model's log-probabilities" : `the reference (${reference})`;
    throw new UserError(
      `${whose}, ${where}, position ${from + cause.row}: the probabilities sum to ${Number(cause.sum.toPrecision(4))}, expected 1 within 0.001: ` +
        "give log-probabilities over the whole vocabulary, not logits, not tempered, filtered or of single tokens",
      { cause },
    );
  }
}

import { cutRows, type Datum, rowCount } from "../data/datum.ts";
import { topK } from "../divergence/supports/top-k.ts";
import { isTopK, type ReferenceRows } from "./legacy.ts";

/**
 * What is known of a datum, or, where the datum was cut from a longer one, its rows of what is known of that.
 *
 * @param find what is known of a whole datum, if anything.
 */
export function rowsOf<Rows extends ReferenceRows>(
  datum: Datum,
  find: (whole: Datum) => Rows | undefined,
): Rows | undefined {
  const found = find(datum);
  const { cutFrom } = datum;
  if (found || !cutFrom) return found;
  const whole = find(cutFrom.datum);
  return whole && (part(whole, cutFrom.row, cutFrom.row + rowCount(datum)) as Rows);
}

function part(rows: ReferenceRows, from: number, to: number): ReferenceRows {
  if (!isTopK(rows)) return cutRows(rows, from, to);
  const { tokens, logprobs, tail } = rows;
  return topK(cutRows(tokens, from, to), cutRows(logprobs, from, to), tail ? { tail: cutRows(tail, from, to) } : {});
}

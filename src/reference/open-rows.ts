import { UserError } from "../common/errors.ts";
import { cutRows, type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { topK } from "../divergence/supports/top-k.ts";
import { formatShape } from "../divergence/tensor.ts";
import type { Span } from "../loss/contract.ts";
import { isTopK, type OpenReference, type ReferenceRows } from "./contract.ts";

/** What the rows of spans become before they are handed out, such as hidden states distributions. */
export type Finish<Rows extends ReferenceRows> = (rows: readonly Rows[]) => Promise<readonly Rows[]>;

/** An opener that is shared by all who begin a reference: they share the answer to the same spans. */
export type OpenRows<Rows extends ReferenceRows> = (
  data: readonly Datum[],
  rows: readonly Rows[],
) => OpenReference<Rows>;

/**
 * Opens references over rows that are known whole, one for each datum. The answer to the latest spans is remembered, also
 * from one open reference to another with the same rows, so that all who share a reference compute it once.
 */
export function rowsOpener<Rows extends ReferenceRows>(
  description: string,
  finish: Finish<Rows> = async (rows) => rows,
): OpenRows<Rows> {
  let latest: { spans: readonly Span[]; whole: readonly Rows[]; answer: Promise<readonly Rows[]> } | undefined;
  return (data, rows) => ({
    rows: (spans) => {
      const whole = spans.map(({ index }) => rows[index]!);
      if (latest?.spans === spans && whole.every((each, i) => each === latest!.whole[i])) return latest.answer;
      const answer = (async () =>
        finish(spans.map((span, i) => cut(whole[i]!, data[span.index]!, span, description))))();
      const asked = { spans, whole, answer };
      latest = asked;
      answer.catch(() => {
        if (latest === asked) latest = undefined;
      });
      return answer;
    },
  });
}

/**
 * The rows of a span: of a whole datum the object itself, of a part views. Rows that are not one for each position of the
 * datum are handed out as they are, for `checkShapes` to refuse them with both shapes.
 *
 * @throws UserError for such rows if they would pass for those of the part.
 */
function cut<Rows extends ReferenceRows>(
  rows: Rows,
  datum: Datum,
  { index, from, to }: Span,
  description: string,
): Rows {
  const count = rowCount(datum);
  if (from === 0 && to === count) return rows;
  const { data, shape } = isTopK(rows) ? rows.logprobs : rows;
  if (shape[0] === count && data.length === shape.reduce((product, n) => product * n, 1)) {
    return part(rows, from, to) as Rows;
  }
  if (shape[0] !== to - from) return rows;
  throw new UserError(
    `shape mismatch, ${formatDatum(datum, index)}: reference (${description}) ${formatShape(shape)}; the datum has ${count} target tokens, one row for each`,
  );
}

function part(rows: ReferenceRows, from: number, to: number): ReferenceRows {
  if (!isTopK(rows)) return cutRows(rows, from, to);
  const { tokens, logprobs, tail } = rows;
  return topK(cutRows(tokens, from, to), cutRows(logprobs, from, to), tail ? { tail: cutRows(tail, from, to) } : {});
}

import { type Datum, rowCount } from "../data/datum.ts";
import { topK } from "../divergence/supports/top-k.ts";
import type { IntTensor, Tensor } from "../divergence/tensor.ts";
import { isTopK, type ReferenceRows } from "./contract.ts";

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
  return whole && (cutRows(whole, cutFrom.row, cutFrom.row + rowCount(datum)) as Rows);
}

/** Rows `from` to before `to`; views, no copies. */
export function cutRows(rows: ReferenceRows, from: number, to: number): ReferenceRows {
  if (!isTopK(rows)) return cut(rows, from, to);
  const { tokens, logprobs, tail } = rows;
  return topK(cut(tokens, from, to), cut(logprobs, from, to), tail ? { tail: cut(tail, from, to) } : {});
}

function cut<T extends Tensor | IntTensor>({ data, shape }: T, from: number, to: number): T {
  const [, ...inner] = shape;
  const width = inner.reduce((product, n) => product * n, 1);
  return { data: data.subarray(from * width, to * width), shape: [to - from, ...inner] } as unknown as T;
}

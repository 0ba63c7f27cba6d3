import { type Datum, rowCount } from "../../src/data/datum.ts";
import type { Span, Step } from "../../src/loss/contract.ts";
import type { OpenReference, Reference, ReferenceRows } from "../../src/reference/contract.ts";

/** @file References asked as a step of training asks them. */

/** A step of its own, which shares nothing with others. */
export function newStep(more: Partial<Step> = {}): Step {
  return { number: 1, full: false, ...more };
}

/** All positions of all data, a span each. */
export function wholeSpans(data: readonly Datum[]): Span[] {
  return data.map((datum, index) => ({ index, from: 0, to: rowCount(datum) }));
}

/** The rows of all data, as one part. */
export async function rowsOf<Rows extends ReferenceRows>(
  reference: Reference<Rows>,
  data: readonly Datum[],
  step = newStep(),
): Promise<readonly Rows[]> {
  const open = await reference.begin(data, step);
  return open.rows(wholeSpans(data));
}

/** Every position in a part of its own, the last first, put together again by datum: the numbers of a [M, …] tensor. */
export async function positionByPosition<Rows extends ReferenceRows>(
  open: OpenReference<Rows>,
  data: readonly Datum[],
  numbersOf: (rows: Rows) => Iterable<number>,
): Promise<number[][]> {
  const found = data.map((): number[][] => []);
  for (const [index, datum] of [...data.entries()].reverse()) {
    for (let from = rowCount(datum) - 1; from >= 0; from--) {
      const [rows] = await open.rows([{ index, from, to: from + 1 }]);
      found[index]![from] = [...numbersOf(rows!)];
    }
  }
  return found.map((rows) => rows.flat());
}

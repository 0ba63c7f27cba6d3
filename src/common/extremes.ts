/** @file Extremes of lists of any length: as arguments of `Math.max` they would have to fit on the stack. */

/** The greatest; −∞ of none, NaN with a NaN. */
export function greatest(values: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  return most;
}

/** The least; ∞ of none, NaN with a NaN. */
export function least(values: Iterable<number>): number {
  let found = Number.POSITIVE_INFINITY;
  for (const value of values) found = Math.min(found, value);
  return found;
}

/** A number, and how much it counts. */
export interface WeightedValue {
  readonly value: number;
  readonly weight: number;
}

/**
 * Weighted quantiles: for each share the least value x such that values up to x have at least that share of the whole
 * weight. With equal weights it is the nearest rank, so it is always one of the values; order does not matter, nor do
 * values of weight 0.
 *
 * @param shares from 0 to 1, rising: 0.5 is the median.
 * @returns one value per share; none when nothing counts.
 * @example quantiles([3, 1, 2].map((value) => ({ value, weight: 1 })), [0.5]); // [2]
 */
export function quantiles(values: readonly WeightedValue[], shares: readonly number[]): number[] {
  const sorted = values.filter(({ weight }) => weight > 0).sort((a, b) => a.value - b.value);
  if (sorted.length === 0) return [];
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let at = 0;
  let sofar = sorted[0]!.weight;
  return shares.map((share) => {
    // Rounding of the sums must not ask for more than there is.
    while (at < sorted.length - 1 && sofar < share * total * (1 - 1e-12)) sofar += sorted[++at]!.weight;
    return sorted[at]!.value;
  });
}

import { sum } from "./row.ts";

/** The weights of a call, scaled by a power of two so that sums of weights times values stay in float64's range. */
export interface RowWeights {
  /** Undefined where every row has weight 1. */
  readonly weights: ArrayLike<number> | undefined;
  /** What a mean divides by, scaled as the weights. */
  readonly divisor: number;
  /** The scale: 1 for all but extreme weights. */
  readonly scale: number;
}

const LARGE = 2 ** 800;
const SCALE = 2 ** 600;

/** @throws RangeError for weights that are not one finite number of at least 0 per row. */
export function rowWeights(
  weights: ArrayLike<number> | undefined,
  totalWeight: number | undefined,
  rows: number,
): RowWeights {
  if (!weights) return { weights, divisor: totalWeight ?? rows, scale: 1 };
  if (weights.length !== rows)
    throw new RangeError(`found ${weights.length} weights for ${rows} rows: give one per row`);
  let total = 0;
  for (let r = 0; r < rows; r++) {
    const weight = weights[r]!;
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new RangeError(`the weight of row ${r} is ${weight}, expected a finite number, at least 0`);
    }
    total += weight;
  }
  const scale = total > LARGE ? 1 / SCALE : total < 1 / LARGE ? SCALE : 1;
  if (scale === 1) return { weights, divisor: totalWeight ?? total, scale };
  const scaled = Float64Array.from(weights, (weight) => weight * scale);
  return { weights: scaled, divisor: totalWeight === undefined ? sum(scaled) : totalWeight * scale, scale };
}

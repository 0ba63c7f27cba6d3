import { CLOSE, type PlacedRow, type RowKernel, split, sumsOfTwo } from "./row-kernel.ts";

/** What the first pass finds of a pair of rows. Here p is always the side that is averaged over. */
export interface Pair {
  /** Σ eˣ of p's row, Σ e^y of q's. */
  readonly sumP: number;
  readonly sumQ: number;
  /** log (sumP / sumQ): log p − log q = t·(x − y) − logRatio, of the rows near 0. */
  readonly logRatio: number;
  /** The same of the rows as given. */
  readonly givenRatio: number;
  /** KL(p‖q), by sums in which digits cancel. */
  readonly roughKL: number;
  /** Some numbers are not finite, or the rows so far apart that x − y loses digits of log p − log q. */
  readonly careful: boolean;
}

/** The first pass over a pair of rows; with `reverse` p is the reference. Unless careful, it keeps eˣ·(x − y) in `w`. */
export function pairOf(row: PlacedRow, reverse: boolean): Pair {
  sumsOfTwo(row, reverse);
  const { results } = row.instance;
  const [sumP, sumQ] = [results[0]!, results[1]!];
  const logRatio = Math.log(sumP / sumQ);
  const givenRatio = logRatio + row.t * (reverse ? row.shiftY - row.shiftX : row.shiftX - row.shiftY);
  const roughKL = (row.t * results[2]!) / sumP - logRatio;
  const careful = results[3]! > 0 || Math.abs(givenRatio) > 4 * Math.sqrt(Math.max(0, roughKL));
  return { sumP, sumQ, logRatio, givenRatio, roughKL, careful };
}

/**
 * KL(p‖q) by sums in which nothing cancels, and the error of the log-ratio. In place of q's exponentials it leaves q − p, of a
 * q that is too large by that error, and p·(log q − log p) of the same q in `w`.
 */
export function closeKL(row: PlacedRow, { sumP, sumQ, givenRatio, careful }: Pair, reverse: boolean) {
  const { instance, w, size, t } = row;
  const { kernels, results } = instance;
  kernels.pair(t, 1 / sumP, 1 / sumQ);
  kernels.offset(...split(givenRatio / t));
  if (reverse) kernels.closeKL(row.y, row.x, row.ey, row.ex, w, size, careful);
  else kernels.closeKL(row.x, row.y, row.ex, row.ey, w, size, careful);
  // Both distributions sum to 1; where Σ (q − p) is not 0 the log-ratio was off, by as much as float32 sums are.
  const excess = results[0]! + results[1]!;
  const error = Math.log1p(excess);
  return { kl: Math.max(0, results[0]! - (excess - error)), error };
}

/** KL(p‖q), or with `reverse` KL(q‖p). */
export function klKernel(reverse: boolean): RowKernel {
  const against = klAgainstKernel();
  // Of the current row, from `value` to `gradient`.
  let pair: Pair;
  let kl = 0;
  let error = 0;
  let close = false;
  return {
    kind: { name: "kl", parameter: reverse ? 1 : 0 },
    value(row) {
      if (row.vouchedY && !reverse) return against.value(row);
      pair = pairOf(row, reverse);
      close = pair.roughKL < Math.max(CLOSE, Math.abs(pair.logRatio) / 2);
      if (close) ({ kl, error } = closeKL(row, pair, reverse));
      else [kl, error] = [pair.roughKL, 0];
      return kl;
    },
    gradient(row, g, factor, add) {
      if (row.vouchedY && !reverse) return against.gradient(row, g, factor, add);
      const { instance, nearX, nearY, ex, ey, w, size, t } = row;
      const { kernels } = instance;
      const { sumP, sumQ, logRatio, careful } = pair;
      if (!reverse) {
        const scale = factor / sumP;
        if (careful && !close) {
          kernels.offset(...split((logRatio + kl) / t));
          kernels.gradientOfRatio(g, nearX, nearY, ex, size, scale * t, add);
        } else {
          const [ofP, ofShare] = close ? [error - kl, -sumP] : [-logRatio - kl, t];
          kernels.gradientOfTwo(g, ex, w, size, scale * ofP, scale * ofShare, add);
        }
      } else if (close) {
        const [ofP, ofDifference] = [Math.expm1(-error), Math.exp(-error)];
        kernels.gradientOfTwo(g, ey, ex, size, (factor * ofP) / sumP, factor * ofDifference, add);
      } else {
        kernels.gradientOfTwo(g, ex, ey, size, factor / sumQ, -factor / sumP, add);
      }
    },
  };
}

/** KL(p‖q) against log-probabilities of q that are trusted to sum to 1: their exponentials are not needed. */
function klAgainstKernel(): RowKernel {
  // Of the current row, from `value` to `gradient`: Σ e^z and by how much log p − log q is less than z − y, plus the KL.
  let [sum, offset] = [1, 0];
  return {
    value(row) {
      const { instance, x, y, ex, ey, size, logitsX } = row;
      const { kernels, results, floats } = instance;
      const sums = (k: number) => {
        kernels.sumsAgainst(x, y, ex, ey, size, k);
        sum = results[0]!;
      };
      if (logitsX) {
        // An estimate of log Σ eˣ: for each outcome it is x − y, if p were q. Cheaper than the row's largest x.
        let likely = 0;
        for (let i = 0; i < 16; i++) likely += (floats[x / 4 + i]! - floats[y / 4 + i]!) / 16;
        sums(likely);
        // At most three nats off, which costs less than a digit of e^(x − k).
        if (!(sum > 0.05 && sum < 20)) sums(kernels.largest(x, size));
      } else sums(0);
      // Log-probabilities of p are trusted as well: for equal rows the value is exactly 0.
      const logSum = logitsX ? Math.log(sum) : 0;
      const kl = results[1]! / sum - logSum;
      offset = logSum + kl;
      return Math.max(0, kl);
    },
    gradient({ instance, ex, ey, size }, g, factor, add) {
      instance.kernels.gradientOfTwo(g, ey, ex, size, factor / sum, (-factor * offset) / sum, add);
    },
  };
}

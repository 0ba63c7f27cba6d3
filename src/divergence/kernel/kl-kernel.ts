import { CLOSE, type PlacedRow, type RowKernel, split, sumsOfTwo } from "./row-kernel.ts";

/** A pair of rows, as far as it is known before their divergence: below, p is always the side that is summed over. */
export interface Pair {
  /** Σ eˣ of p's row, Σ e^y of q's. */
  readonly sumP: number;
  readonly sumQ: number;
  /** log (sumP / sumQ): log p − log q = t·(x − y) − logRatio. */
  readonly logRatio: number;
  /** KL(p‖q), by sums in which digits cancel. */
  readonly roughKL: number;
  /** Some numbers are not finite, or the rows so far apart that x − y has lost digits of what is left of it. */
  readonly careful: boolean;
}

/** The first pass over a pair of rows; with `reverse` the reference's is p. Unless careful, it keeps eˣ·(x − y) in `w`. */
export function pairOf(row: PlacedRow, reverse: boolean): Pair {
  sumsOfTwo(row, reverse);
  const { results } = row.instance;
  const [sumP, sumQ] = [results[0]!, results[1]!];
  const logRatio = Math.log(sumP / sumQ);
  const roughKL = (row.t * results[2]!) / sumP - logRatio;
  const careful = results[3]! > 0 || Math.abs(logRatio) > 4 * Math.sqrt(Math.max(0, roughKL));
  return { sumP, sumQ, logRatio, roughKL, careful };
}

/**
 * KL(p‖q) by sums in which nothing cancels, and the error of the log-ratio. In place of q's exponentials it leaves q − p, of a
 * q that is too large by that error, and p·(log q − log p) of the same q in `w`.
 */
export function closeKL(row: PlacedRow, { sumP, sumQ, logRatio, careful }: Pair, reverse: boolean) {
  const { instance, w, size, t } = row;
  const { kernels, results } = instance;
  kernels.pair(t, 1 / sumP, 1 / sumQ);
  kernels.offset(...split(logRatio / t));
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
  // Of the row at hand, from `value` to `gradient`.
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
      const { instance, x, y, ex, ey, w, size, t } = row;
      const { kernels } = instance;
      const { sumP, sumQ, logRatio, careful } = pair;
      if (!reverse) {
        const scale = factor / sumP;
        if (careful && !close) {
          kernels.offset(...split((logRatio + kl) / t));
          kernels.gradientOfRatio(g, x, y, ex, size, scale * t, add);
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

/** KL(p‖q) against log-probabilities of q that are known to sum to 1: none of its exponentials is needed. */
function klAgainstKernel(): RowKernel {
  // Of the row at hand, from `value` to `gradient`: Σ e^z and by how much log p − log q is less than z − y, plus the KL.
  let [sum, offset] = [1, 0];
  return {
    value(row) {
      const { instance, x, y, ex, ey, size, logitsX } = row;
      const { kernels, results, floats } = instance;
      const pass = (k: number) => {
        kernels.sumsAgainst(x, y, ex, ey, size, k);
        sum = results[0]!;
      };
      if (logitsX) {
        // log Σ eˣ, as far as the first outcomes tell it: of each it is x − y, if p were q. Cheaper than the row's largest x.
        let likely = 0;
        for (let i = 0; i < 16; i++) likely += (floats[x / 4 + i]! - floats[y / 4 + i]!) / 16;
        pass(likely);
        // Three nats off at most: less than a digit of e^(x − k) is lost by that.
        if (!(sum > 0.05 && sum < 20)) pass(kernels.largest(x, size));
      } else pass(0);
      // Log-probabilities of p are vouched for as well: equal ones have exactly 0.
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

import { closeKL, pairOf } from "./kl-kernel.ts";
import { type RowKernel, split } from "./row-kernel.ts";

/** Terms of the series that the kernel uses where p and q are close; the next would be below 1e-6 of the first. */
const TERMS = 8;

/** The Jensen–Shannon divergence, for β above 0 and below 1. */
export function jensenShannonKernel(beta: number): RowKernel {
  const shape = seriesOf(beta, TERMS);
  // Of the current row, from `value` to `gradient`.
  let [sumP, fromP] = [0, 0];
  return {
    kind: { name: "jensenShannon", parameter: beta },
    value(row) {
      const { instance, ex, ey, size } = row;
      const { kernels, results } = instance;
      const pair = pairOf(row, false);
      if (!Number.isFinite(pair.sumP + pair.sumQ)) return Number.NaN;
      closeKL(row, pair, false);
      kernels.mixture(beta);
      shape.forEach((coefficient, i) => {
        kernels.shape(i, coefficient);
      });
      kernels.mixed(row.x, row.y, ex, ey, size, pair.careful);
      [sumP, fromP] = [pair.sumP, results[1]!];
      return Math.max(0, results[0]!);
    },
    gradient({ instance, ex, ey, size }, g, factor, add) {
      instance.kernels.offset(...split(fromP));
      instance.kernels.gradientOfCentered(g, ey, ex, size, (factor * beta) / sumP, add);
    },
  };
}

/**
 * The series of H(z) / z² about z = 0, where q = p·e^z and an outcome adds p·H(z) to the divergence:
 * H(z) = (1 − β)·e^z·z − M·log M with M = m / p = β + (1 − β)·e^z.
 */
export function seriesOf(beta: number, terms: number): number[] {
  const length = terms + 2;
  const exp = [1];
  for (let k = 1; k < length; k++) exp.push(exp[k - 1]! / k);
  const m = exp.map((c, k) => (k === 0 ? 1 : (1 - beta) * c));
  // M·(log M)′ = M′
  const log = [0];
  for (let k = 1; k < length; k++) {
    let sum = k * m[k]!;
    for (let j = 1; j < k; j++) sum -= j * log[j]! * m[k - j]!;
    log.push(sum / k);
  }
  const h = exp.map((_, k) => {
    let sum = k === 0 ? 0 : (1 - beta) * exp[k - 1]!;
    for (let j = 0; j <= k; j++) sum -= m[j]! * log[k - j]!;
    return sum;
  });
  return h.slice(2);
}

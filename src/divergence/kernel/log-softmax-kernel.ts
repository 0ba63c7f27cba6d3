import { CONFIDENT, confidentSums, type RowKernel, split, sumsOfOne } from "./row-kernel.ts";

/** The value is log Σ exp(t·x); in place of a gradient, the log-probabilities are written. */
export function logSoftmaxKernel(): RowKernel {
  let logSum = 0;
  return {
    value(row) {
      sumsOfOne(row);
      logSum = Math.log(row.instance.results[0]!);
      if (logSum - row.t * row.instance.kernels.largest(row.nearX, row.size) < CONFIDENT) {
        const { most, above } = confidentSums(row);
        logSum = most + above;
      }
      return logSum;
    },
    gradient({ instance, nearX, size, t }, to) {
      instance.kernels.offset(...split(logSum / t));
      instance.kernels.centered(to, nearX, size, t);
    },
  };
}

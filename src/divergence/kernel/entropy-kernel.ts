import { CONFIDENT, confidentSums, type RowKernel, split, sumsOfOne } from "./row-kernel.ts";

/** −Σ p·log p. */
export const entropyKernel: RowKernel = /* @__PURE__ */ createEntropyKernel();

function createEntropyKernel(): RowKernel {
  // Of the current row, from `value` to `gradient`: its entropy, the sum of `ex`, and log Σ exp(t·x).
  let [entropy, total, logSum] = [0, 0, 0];
  return {
    kind: { name: "entropy", parameter: 0 },
    value(row) {
      const { instance, t } = row;
      sumsOfOne(row);
      total = instance.results[0]!;
      logSum = Math.log(total);
      entropy = logSum - (t * instance.results[1]!) / total;
      if (entropy < Math.max(CONFIDENT, Math.abs(logSum) / 2)) {
        const { most, above, mean } = confidentSums(row);
        logSum = most + above;
        entropy = above - t * mean;
      }
      return entropy;
    },
    gradient({ instance, nearX, ex, size, t }, g, factor, add) {
      instance.kernels.offset(...split((logSum - entropy) / t));
      instance.kernels.gradientOfCentered(g, nearX, ex, size, (-factor * t) / total, add);
    },
  };
}

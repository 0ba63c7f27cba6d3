import { CONFIDENT, confidentSums, type RowKernel, sumsOfOne } from "./row-kernel.ts";

/** −log p[target] of each row. */
export function crossEntropyKernel(targets: Int32Array): RowKernel {
  let [total, loss] = [0, 0];
  return {
    kind: { name: "crossEntropy", parameter: 0, targets },
    value(row) {
      const { instance, size, t, index } = row;
      const target = targets[index]!;
      if (!(target >= 0 && target < size)) return Number.NaN;
      sumsOfOne(row);
      total = instance.results[0]!;
      const logit = instance.floats[row.nearX / 4 + target]!;
      loss = Math.log(total) - t * logit;
      if (loss < CONFIDENT) {
        const { most, above } = confidentSums(row);
        loss = above + (most - t * logit);
      }
      return loss;
    },
    gradient({ instance, ex, size, index }, g, factor, add) {
      const { floats, kernels } = instance;
      const at = g / 4 + targets[index]!;
      const before = add ? floats[at]! : 0;
      kernels.gradientOfExp(g, ex, size, factor / total, add);
      floats[at] = before + factor * Math.expm1(-loss);
    },
  };
}

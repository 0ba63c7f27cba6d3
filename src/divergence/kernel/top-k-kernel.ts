import { logSoftmaxKernel } from "./log-softmax-kernel.ts";
import { type RowKernel, resolved } from "./row-kernel.ts";

/** Where the rows' results go: [rows, k] ids and log-probabilities of the most probable, and [rows] that of the rest. */
export interface TopKOutput {
  readonly tokens: Int32Array;
  readonly logprobs: Float32Array;
  readonly tail: Float32Array;
}

/** The value is log Σ exp(t·x), and the row's k most probable outcomes are written with it. */
export function topKKernel(k: number, { tokens, logprobs, tail }: TopKOutput): RowKernel {
  const normalizer = logSoftmaxKernel();
  return {
    value(row) {
      const logSum = normalizer.value(row);
      if (!Number.isFinite(logSum)) return Number.NaN;
      const { instance, index, size, t, x, ex, copyY: ids, ey: numbers } = row;
      const { kernels, floats, results } = instance;
      kernels.sum(ex, size);
      const total = results[0]!;
      kernels.selectLargest(x, size, k, numbers, ids);
      const chosen = new Int32Array(floats.buffer, ids, k);
      for (const [i, id] of chosen.entries()) {
        tokens[index * k + i] = id;
        logprobs[index * k + i] = t * floats[numbers / 4 + i]! - logSum;
        floats[ex / 4 + id] = 0;
      }
      kernels.sum(ex, size);
      if (k < size && !resolved(results[0]!, size)) return Number.NaN;
      tail[index] = Math.log(results[0]! / total);
      return logSum;
    },
    gradient() {},
  };
}

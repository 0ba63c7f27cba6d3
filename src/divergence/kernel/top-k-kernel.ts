import { logSoftmaxKernel } from "./log-softmax-kernel.ts";
import { type RowKernel, resolved } from "./row-kernel.ts";

/** Where the results go: [rows, k] ids and log-probabilities of the most probable, and [rows] log-probabilities of the rest. */
export interface TopKOutput {
  readonly tokens: Int32Array;
  readonly logprobs: Float32Array;
  readonly tail: Float32Array;
}

/** The value is log Σ exp(t·x); the k most probable outcomes of the row are written to the output. */
export function topKKernel(k: number, { tokens, logprobs, tail }: TopKOutput): RowKernel {
  const normalizer = logSoftmaxKernel();
  return {
    value(row) {
      const logSum = normalizer.value(row);
      if (!Number.isFinite(logSum)) return Number.NaN;
      const { instance, index, size, t, ex, w: ids, ey: numbers } = row;
      const { kernels, floats, results } = instance;
      kernels.sum(ex, size);
      const total = results[0]!;
      kernels.selectLargest(row.x, size, k, numbers, ids);
      const chosen = new Int32Array(floats.buffer, ids, k);
      for (const [i, id] of chosen.entries()) {
        tokens[index * k + i] = id;
        logprobs[index * k + i] = t * floats[row.nearX / 4 + id]! - logSum;
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

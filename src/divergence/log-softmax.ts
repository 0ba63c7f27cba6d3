import { KernelRows } from "./kernel/kernel-rows.ts";
import { logSoftmaxKernel } from "./kernel/log-softmax-kernel.ts";
import { ROW_DEFAULTS, settings } from "./options.ts";
import { loadRow, rowScratch } from "./row.ts";
import { formatShape, type Tensor } from "./tensor.ts";

/** The default of each option of `logSoftmax`. */
export const LOG_SOFTMAX_DEFAULTS = { temperature: ROW_DEFAULTS.temperature } as const;

/**
 * Log-probabilities from logits, along the last axis: z/T − log Σ exp(z/T).
 *
 * @param options `temperature` T, default 1; `out`, a tensor to overwrite, which may be the logits themselves.
 * @returns shaped like the logits. A row with NaN, +∞, or nothing above −∞ is NaN.
 * @throws RangeError for an empty vocabulary, a temperature below 1e-200 or not finite, or `out` of another size.
 * @example logSoftmax(tensor([1, 1], [1, 2])); // [[−ln 2, −ln 2]]
 * @see Blanchard, Higham & Higham 2021, Accurately Computing the Log-Sum-Exp and Softmax Functions
 */
export function logSoftmax(
  logits: Tensor,
  {
    temperature = LOG_SOFTMAX_DEFAULTS.temperature,
    out,
  }: { readonly temperature?: number; readonly out?: Tensor } = {},
): Tensor {
  const set = settings({ temperature, input: "logits" });
  const size = logits.shape.at(-1);
  if (!size)
    throw new RangeError(
      `a softmax needs at least one outcome along the last axis, found shape ${formatShape(logits.shape)}`,
    );
  const kernel = logSoftmaxKernel();
  KernelRows.makeRoom(kernel, logits, undefined, 1);
  const result = out ?? { data: new Float32Array(logits.data.length), shape: logits.shape };
  if (result.data.length !== logits.data.length) {
    throw new RangeError(`out holds ${result.data.length} numbers, expected ${logits.data.length}`);
  }
  const { p, logP } = rowScratch(size, false);
  const rows = logits.data.length / size;
  const values = new Float64Array(rows).fill(Number.NaN);
  const into = { into: result.data, factors: new Float64Array(rows).fill(1), add: false };
  KernelRows.open(kernel, logits, undefined, set)?.compute(values, into);
  for (let r = 0; r < rows; r++) {
    if (!Number.isNaN(values[r]!)) continue;
    loadRow(logits.data, r * size, logP, p, set.inverseTemperature, true);
    result.data.set(logP, r * size);
  }
  return result;
}

import { exp } from "./exponential.ts";
import type { OnKernels } from "./kernel/kernel-rows.ts";
import type { Tensor } from "./tensor.ts";

/**
 * One row as the formulas see it: both distributions, normalized, in float64, as probabilities and as their logarithms
 * [V]. One object serves all rows of a call; its arrays are overwritten from row to row.
 */
export interface Row {
  /** Which row of the input this is. */
  index: number;
  /** Probabilities of the model, and their natural logarithms. */
  readonly p: Float64Array;
  readonly logP: Float64Array;
  /** The same of the reference; unused by formulas over one distribution. */
  readonly q: Float64Array;
  readonly logQ: Float64Array;
  /** Where the formula writes d value / d logits of p, if the caller wants it. */
  readonly gradient: Float64Array | undefined;
}

/**
 * A divergence of one row: returns its value in nats and fills `row.gradient`.
 *
 * The gradient is with respect to the logits z of p = softmax(z). Log-probabilities are logits too, those whose
 * log-sum-exp is 0, so the same formula is right for both, and it is zero where the divergence is at its minimum.
 */
export interface RowFormula {
  (row: Row): number;
  /** The same in WebAssembly, for rows that are worth it. */
  readonly kernel?: OnKernels;
}

/** Reads one row as logits / temperature, and writes its normalized log-probabilities and probabilities. Returns Σ exp. */
export function loadRow(
  source: Float32Array,
  from: number,
  log: Float64Array,
  probability: Float64Array,
  inverseTemperature: number,
  shift: boolean,
): number {
  const size = log.length;
  let max = 0;
  if (shift) {
    max = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < size; i++) if (source[from + i]! > max) max = source[from + i]!;
    max *= inverseTemperature;
  }
  let sum = 0;
  for (let i = 0; i < size; i++) {
    const z = source[from + i]! * inverseTemperature - max;
    const e = exp(z);
    log[i] = z;
    probability[i] = e;
    sum += e;
  }
  const logSum = Math.log(sum);
  const scale = 1 / sum;
  for (let i = 0; i < size; i++) {
    log[i]! -= logSum;
    probability[i]! *= scale;
  }
  return sum;
}

/** q ← (1 − ε)·q + ε/V: no outcome is impossible any more. */
export function smoothRow(log: Float64Array, probability: Float64Array, epsilon: number): void {
  const floor = epsilon / log.length;
  for (let i = 0; i < log.length; i++) {
    const smoothed = (1 - epsilon) * probability[i]! + floor;
    probability[i] = smoothed;
    log[i] = Math.log(smoothed);
  }
}

/** What rounding alone put below 0 (some 1e-17) is 0; NaN stays NaN. */
export function notNegative(value: number): number {
  return Math.max(0, value);
}

/** Σ exp of a row of log-probabilities. */
export function sumOfRow({ data }: Tensor, from: number, size: number): number {
  let sum = 0;
  for (let i = from; i < from + size; i++) sum += Math.exp(data[i]!);
  return sum;
}

let scratch = new Float64Array(0);

/** Room for one row of size V. It is shared by all calls: a divergence never waits for anything, so no two overlap. */
export function rowScratch(size: number, withGradient: boolean): Row {
  if (scratch.length < 5 * size) scratch = new Float64Array(5 * size);
  const [p, logP, q, logQ, gradient] = [0, 1, 2, 3, 4].map((i) => scratch.subarray(i * size, (i + 1) * size));
  return { index: 0, p: p!, logP: logP!, q: q!, logQ: logQ!, gradient: withGradient ? gradient : undefined };
}

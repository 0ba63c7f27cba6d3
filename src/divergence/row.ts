import { exp } from "./exponential.ts";
import type { OnKernels } from "./kernel/kernel-rows.ts";
import type { Tensor } from "./tensor.ts";

/**
 * One row as the formulas get it: both distributions, normalized, in float64, as probabilities and as their logarithms
 * [V]. All rows of a call use the same object, whose arrays are overwritten from row to row.
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
  /** Where the formula writes d value / d logits of p, if the caller needs the gradient. */
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
  /** The same in WebAssembly, for ordinary rows of 64 outcomes and more. */
  readonly kernel?: OnKernels;
  /** Whether a finite gradient is returned where the value is not finite. Default: such a row's gradient is NaN. */
  readonly keepsGradient?: boolean;
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

/** q ← (1 − ε)·q + ε/V: no outcome stays impossible. */
export function smoothRow(log: Float64Array, probability: Float64Array, epsilon: number): void {
  const floor = epsilon / log.length;
  for (let i = 0; i < log.length; i++) {
    const smoothed = (1 - epsilon) * probability[i]! + floor;
    probability[i] = smoothed;
    log[i] = Math.log(smoothed);
  }
}

/**
 * Σ a·(log a − log b). Only outcomes of log-probability −∞ are impossible: −∞ in a contributes 0, −∞ in b alone makes the sum
 * +∞, also where a itself is too small for float64 (below e^−745).
 */
export function sumOfLogRatios(a: Float64Array, logA: Float64Array, logB: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== 0) sum += a[i]! * (logA[i]! - logB[i]!);
    else if (logB[i] === IMPOSSIBLE && logA[i] !== IMPOSSIBLE) return Number.POSITIVE_INFINITY;
  }
  return sum;
}

/**
 * Makes listed outcomes of the model impossible and returns what the others have together: `sum` is the sum of `row.p`, `log`
 * its log-probability. Where probabilities are too small for float64, `row.p` of the others is scaled up.
 */
export function takeOut({ p, logP }: Row, outcomes: Int32Array): { sum: number; log: number } {
  for (const outcome of outcomes) {
    p[outcome] = 0;
    logP[outcome] = IMPOSSIBLE;
  }
  const rest = sum(p);
  if (!(rest < SMALLEST_SUM)) return { sum: rest, log: Math.log(rest) };
  const most = logP.reduce((a, b) => Math.max(a, b));
  if (most === IMPOSSIBLE) return { sum: 0, log: IMPOSSIBLE };
  for (let i = 0; i < p.length; i++) p[i] = Math.exp(logP[i]! - most);
  const scaled = sum(p);
  return { sum: scaled, log: most + Math.log(scaled) };
}

/** The log-probability of an impossible outcome. */
const IMPOSSIBLE = Number.NEGATIVE_INFINITY;
/** Sums below this may lack terms that float64 has no numbers for. */
const SMALLEST_SUM = 1e-280;

/** The sum of some numbers. */
export function sum(numbers: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i]!;
  return sum;
}

/** Rounding may leave a value some 1e-17 below 0; NaN stays NaN. */
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

/** Scratch memory for one row of size V, shared by all calls: a divergence is synchronous, so no two calls overlap. */
export function rowScratch(size: number, withGradient: boolean): Row {
  if (scratch.length < 5 * size) scratch = new Float64Array(5 * size);
  const [p, logP, q, logQ, gradient] = [0, 1, 2, 3, 4].map((i) => scratch.subarray(i * size, (i + 1) * size));
  return { index: 0, p: p!, logP: logP!, q: q!, logQ: logQ!, gradient: withGradient ? gradient : undefined };
}

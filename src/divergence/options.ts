import { MOST_THREADS } from "./kernel/shared-job.ts";
import type { Tensor } from "./tensor.ts";

/** Any float32 logit divided by this is finite in float64. */
const LOWEST_TEMPERATURE = 1e-200;

/** How per-row values are reduced to one: the weighted mean, the weighted sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";

/** The result of a reduction: a number, or with `"none"` the values of the rows. */
export type Reduced<R extends Reduction> = R extends "none" ? Tensor : number;

/** Natural log-probabilities, or logits, whose softmax is the distribution. */
export type Input = "logprobs" | "logits";

/** Settings shared by everything that is computed row by row from one distribution. Values are in nats. */
export interface RowOptions<R extends Reduction = Reduction> {
  /** `"mean"`: Σ w·value / Σ w. `"sum"`: Σ w·value. `"none"`: the values themselves, unweighted. Default `"mean"`. */
  readonly reduction?: R;
  /** One weight per row, finite and at least 0. A row of weight 0 is never read and contributes nothing. Default 1. */
  readonly weights?: Tensor | ArrayLike<number>;
  /** The divisor of a mean. Default: Σ w. For a part of a batch give the whole batch's Σ w, and the parts add up. */
  readonly totalWeight?: number;
  /** Divides the logits on both sides; log-probabilities are softened and normalized again. At least 1e-200. Default 1. */
  readonly temperature?: number;
  /**
   * What the inputs are: the same on both sides, or `{ p: "logits", q: "logprobs" }`. `"logprobs"` (default) are checked to sum
   * to 1 within 1e-3 and then normalized exactly; `"logits"` are normalized. In both cases the gradient is with respect to
   * the input read as logits.
   */
  readonly input?: Input | { readonly p: Input; readonly q: Input };
  /**
   * Whether log-probabilities are checked to sum to 1. Default true. With false they are trusted, and KL(p‖q) may use those of
   * q as they are, which saves an exponential per outcome: its absolute error is then |log Σ q|.
   */
  readonly check?: boolean;
  /**
   * How many threads compute rows, 1 to 64, of KL, Jensen–Shannon, entropy and cross-entropy: the results are the same to the
   * last bit. Tensors from `allocate(shape, { shared: true })` are used in place, others are copied to shared memory and back.
   * Threads start with the first call that asks for them, which does not wait for them, and do not keep the process alive.
   * Where memory cannot be shared (a page that is not cross-origin isolated) there is one. Default 1.
   */
  readonly threads?: number;
  /** Tensors to overwrite with the results of the same names instead of new ones: an earlier result, or p for the gradient. */
  readonly out?: { readonly perRow?: Tensor; readonly gradient?: Tensor };
}

/** Settings shared by all divergences of a model's distribution p from a reference q. */
export interface DivergenceOptions<R extends Reduction = Reduction> extends RowOptions<R> {
  /** Smooths the reference, q ← (1 − ε)·q + ε/V, so that no outcome is impossible. From 0 to below 1. Default 0 (off). */
  readonly epsilon?: number;
  /** A cap on each row's value, in nats; a capped row has no gradient, and counts in `clippedShare`. Default Infinity (off). */
  readonly clip?: number;
}

/** Options of `withGradient` alone. */
export interface GradientOptions {
  /** Adds scale · gradient to this tensor instead of returning a new one. With scale 0 no gradient is computed. */
  readonly addTo?: { readonly gradient: Tensor; readonly scale: number };
}

/** What `withGradient` returns. */
export interface WithGradient<R extends Reduction = Reduction> {
  /** The reduced value in nats; with reduction `"none"` the same as `perRow`. */
  readonly value: Reduced<R>;
  /** Each row's own value in nats, unweighted, after `clip`; 0 for rows of weight 0. */
  readonly perRow: Tensor;
  /**
   * d value / d input of p, shaped like p; with reduction `"none"` each row's own gradient, unweighted. With `addTo`, the
   * tensor that was added to. A row whose value is not finite has no gradient: NaN.
   */
  readonly gradient: Tensor;
  /** Weight of the rows that `clip` capped, divided by the total weight. */
  readonly clippedShare: number;
}

/** The default of each option of functions over one distribution; `weights` and `totalWeight` default to 1 and Σ w. */
export const ROW_DEFAULTS = {
  reduction: "mean",
  temperature: 1,
  input: "logprobs",
  check: true,
  threads: 1,
} as const satisfies RowOptions;

/** The default of each option of divergences that have none of their own. */
export const DIVERGENCE_DEFAULTS = {
  ...ROW_DEFAULTS,
  epsilon: 0,
  clip: Number.POSITIVE_INFINITY,
} as const satisfies DivergenceOptions;

/** The options, complete and checked. */
export interface Settings {
  readonly reduction: Reduction;
  readonly weights: ArrayLike<number> | undefined;
  readonly totalWeight: number | undefined;
  readonly inverseTemperature: number;
  /** Whether each side is logits. */
  readonly logits: { readonly p: boolean; readonly q: boolean };
  readonly check: boolean;
  readonly threads: number;
  readonly epsilon: number;
  readonly clip: number;
}

/**
 * Fills in the defaults.
 *
 * @throws RangeError for an option of an invalid value.
 */
export function settings({
  reduction = DIVERGENCE_DEFAULTS.reduction,
  weights,
  totalWeight,
  temperature = DIVERGENCE_DEFAULTS.temperature,
  input = DIVERGENCE_DEFAULTS.input,
  check = DIVERGENCE_DEFAULTS.check,
  threads = DIVERGENCE_DEFAULTS.threads,
  epsilon = DIVERGENCE_DEFAULTS.epsilon,
  clip = DIVERGENCE_DEFAULTS.clip,
}: DivergenceOptions): Settings {
  oneOf("reduction", reduction, ["mean", "sum", "none"]);
  const { p, q } = typeof input === "string" ? { p: input, q: input } : input;
  oneOf("input", p, ["logprobs", "logits"]);
  oneOf("input", q, ["logprobs", "logits"]);
  within(
    "temperature",
    temperature,
    temperature >= LOWEST_TEMPERATURE && temperature < Number.POSITIVE_INFINITY,
    `a finite number above 0, at least ${LOWEST_TEMPERATURE}`,
  );
  within("epsilon", epsilon, epsilon >= 0 && epsilon < 1, "a number from 0 to below 1");
  within("clip", clip, clip > 0, "a number of nats above 0");
  within(
    "threads",
    threads,
    Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS,
    `a whole number from 1 to ${MOST_THREADS}`,
  );
  if (totalWeight !== undefined) {
    within(
      "totalWeight",
      totalWeight,
      totalWeight >= 0 && totalWeight < Number.POSITIVE_INFINITY,
      "a finite number, at least 0",
    );
  }
  return {
    reduction,
    weights: weights && "data" in weights ? weights.data : weights,
    totalWeight,
    inverseTemperature: 1 / temperature,
    logits: { p: p === "logits", q: q === "logits" },
    check,
    threads,
    epsilon,
    clip,
  };
}

/** @throws RangeError unless `value` is one of `allowed`. */
export function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): void {
  if (!allowed.includes(value)) {
    throw new RangeError(
      `${name} is ${JSON.stringify(value)}, expected ${allowed.map((each) => `"${each}"`).join(" or ")}`,
    );
  }
}

/** @throws RangeError unless `holds` is true. */
export function within(name: string, value: number, holds: boolean, expected: string): void {
  if (!holds) throw new RangeError(`${name} is ${value}, expected ${expected}`);
}

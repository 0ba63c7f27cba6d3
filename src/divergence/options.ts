import { MOST_THREADS } from "./kernel/shared-job.ts";
import type { Tensor } from "./tensor.ts";

/** How per-row values become one: the weighted mean, the weighted sum, or not at all. */
export type Reduction = "mean" | "sum" | "none";

/** What a reduction leaves: a number, or with `"none"` the values of the rows. */
export type Reduced<R extends Reduction> = R extends "none" ? Tensor : number;

/** Natural log-probabilities, or numbers whose softmax is the distribution. */
export type Input = "logprobs" | "logits";

/** Settings shared by everything that is computed row by row from one distribution. Values are in nats. */
export interface RowOptions<R extends Reduction = Reduction> {
  /** `"mean"`: Σ w·value / Σ w. `"sum"`: Σ w·value. `"none"`: the values themselves, unweighted. Default `"mean"`. */
  readonly reduction?: R;
  /** One weight per row, finite and at least 0. A row of weight 0 is never read and contributes nothing. Default 1. */
  readonly weights?: Tensor | ArrayLike<number>;
  /** What a mean divides by. Default: Σ w. For a part of a batch give the whole batch's Σ w, and the parts add up. */
  readonly totalWeight?: number;
  /** Divides the logits (of log-probabilities: softens and normalizes again), on both sides. Default 1. */
  readonly temperature?: number;
  /**
   * What the inputs are: the same on both sides, or `{ p: "logits", q: "logprobs" }`. `"logprobs"` (default) are checked to sum
   * to 1 within 1e-3 and normalized to the last digit; `"logits"` are normalized. Either way a gradient is with respect to
   * the input read as logits.
   */
  readonly input?: Input | { readonly p: Input; readonly q: Input };
  /**
   * Whether log-probabilities are checked to sum to 1. Default true. With false you vouch for it, and KL(p‖q) may take those of q
   * as they are, which saves an exponential per outcome: its error is then |log Σ q|, absolute.
   */
  readonly check?: boolean;
  /**
   * How many threads compute rows, 1 to 64, of KL, Jensen–Shannon, entropy and cross-entropy: the results are the same to the
   * last bit. Tensors from `allocate(shape, { shared: true })` are used where they lie, others are copied to memory that threads
   * share, and back. Threads start with the first call that asks for them, which does not wait for them, and keep no process
   * alive. Where memory cannot be shared (a page that is not cross-origin isolated) there is one. Default 1.
   */
  readonly threads?: number;
  /** Tensors to overwrite with the results of the same names, instead of allocating them. An earlier result will do, and for the gradient p itself. */
  readonly out?: { readonly perRow?: Tensor; readonly gradient?: Tensor };
}

/** Settings shared by all divergences of a model's distribution p from a reference q. */
export interface DivergenceOptions<R extends Reduction = Reduction> extends RowOptions<R> {
  /** Smooths the reference, q ← (1 − ε)·q + ε/V, so that no outcome is impossible. From 0 to below 1. Default 0 (off). */
  readonly epsilon?: number;
  /** A cap on each row's value, in nats; a capped row has no gradient, and counts in `clippedShare`. Default Infinity (off). */
  readonly clip?: number;
}

/** What `withGradient` takes besides. */
export interface GradientOptions {
  /** Adds scale · gradient to this tensor instead of writing a gradient of its own. With scale 0 none is computed. */
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

/** Options as the loops read them: complete and checked. */
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

/** Fills in the defaults and refuses what has no meaning. */
export function settings({
  reduction = "mean",
  weights,
  totalWeight,
  temperature = 1,
  input = "logprobs",
  check = true,
  threads = 1,
  epsilon = 0,
  clip = Number.POSITIVE_INFINITY,
}: DivergenceOptions): Settings {
  oneOf("reduction", reduction, ["mean", "sum", "none"]);
  const { p, q } = typeof input === "string" ? { p: input, q: input } : input;
  oneOf("input", p, ["logprobs", "logits"]);
  oneOf("input", q, ["logprobs", "logits"]);
  within(
    "temperature",
    temperature,
    temperature > 0 && temperature < Number.POSITIVE_INFINITY,
    "a finite number above 0",
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

/** @throws RangeError unless the setting `holds`. */
export function within(name: string, value: number, holds: boolean, expected: string): void {
  if (!holds) throw new RangeError(`${name} is ${value}, expected ${expected}`);
}

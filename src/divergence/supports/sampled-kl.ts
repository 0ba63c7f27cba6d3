import type { Direction } from "../kl-divergence.ts";
import {
  type GradientOptions,
  oneOf,
  type Reduced,
  type Reduction,
  type RowOptions,
  type WithGradient,
} from "../options.ts";
import { notNegative, type RowFormula } from "../row.ts";
import { overRows } from "../rows.ts";
import { formatShape, sameShape, type Tensor } from "../tensor.ts";
import { checkDrawn, type DrawnFromModel } from "./drawn-from-model.ts";

/** Estimators of a KL divergence from one drawn token. */
export type Estimator = "k1" | "k2" | "k3";

/** Settings of an estimate. `weights`, `reduction`, `totalWeight` and `out` are as in `klDivergence`. */
export interface SampledOptions<R extends Reduction = Reduction>
  extends Pick<RowOptions<R>, "reduction" | "weights" | "totalWeight" | "out"> {
  /**
   * `"k1"`: unbiased, and of either sign. `"k2"`: biased by the third order, never negative. `"k3"`: unbiased and never
   * negative. Default `"k3"`. The gradient does not depend on it.
   */
  readonly estimator?: Estimator;
  /** Which KL is estimated, `"forward"` KL(model‖reference) or `"reverse"` KL(reference‖model). Default `"forward"`. */
  readonly direction?: Direction;
}

/**
 * Estimates a KL divergence from tokens that the model drew, knowing both sides' log-probabilities of those alone.
 *
 * With d = log p − log q of the drawn token and r = exp(−d):
 *
 * | | KL(p‖q) | KL(q‖p) |
 * |---|---|---|
 * | k1 | d | r·log r |
 * | k2 | d²/2 | d²/2 |
 * | k3 | r − 1 + d | r·log r − (r − 1) |
 * | gradient | d | 1 − r |
 *
 * The gradient is with respect to the drawn token's log-probability: times the gradient of log p(token), its expectation
 * is the gradient of that KL. It is not the derivative of the estimators, which forgets that the draws depend on the model:
 * k1's is 0 on average, and k3's that of the other direction. It weighs each token by its own row alone, not
 * by what it does to later ones.
 *
 * @param p the model's tokens, marked by `drawnFromModel`, [...]; `q` the reference's log-probabilities of the same tokens, [...].
 * @returns nats, as `klDivergence`.
 * @throws TypeError for tokens that are not marked; RangeError for shapes that differ or settings that mean nothing.
 * @example sampledKL(drawnFromModel(logprobs), referenceLogprobs, { estimator: "k3" })
 * @see Schulman 2020, Approximating KL Divergence (joschu.net/blog/kl-approx.html); Tang & Munos 2025 (arXiv 2506.09477)
 */
export function sampledKL<R extends Reduction = "mean">(
  p: DrawnFromModel,
  q: Tensor,
  options: SampledOptions<R> = {},
): Reduced<R> {
  return estimate<R>(p, q, options, false).value;
}

sampledKL.withGradient = <R extends Reduction = "mean">(
  p: DrawnFromModel,
  q: Tensor,
  options: SampledOptions<R> & GradientOptions = {},
): WithGradient<R> => estimate<R>(p, q, options, true);

function estimate<R extends Reduction>(
  p: DrawnFromModel,
  q: Tensor,
  options: SampledOptions<R> & GradientOptions,
  gradients: boolean,
): WithGradient<R> {
  checkDrawn(p);
  const { estimator = "k3", direction = "forward", ...how } = options;
  oneOf("estimator", estimator, ["k1", "k2", "k3"]);
  oneOf("direction", direction, ["forward", "reverse"]);
  const { data, shape } = p.logprobs;
  if (!sameShape(shape, q.shape)) {
    throw new RangeError(
      `p is ${formatShape(shape)} and q ${formatShape(q.shape)}: both must hold the log-probability of the same tokens`,
    );
  }
  const value = VALUES[direction][estimator];
  const ofToken: RowFormula = ({ index, gradient }) => {
    const d = data[index]! - q.data[index]!;
    if (gradient) gradient[0] = direction === "forward" ? d : -Math.expm1(-d);
    return value(d);
  };
  // Each token is a row of its own, with one number.
  const found = overRows<R>(ofToken, { data, shape: [...shape, 1] }, undefined, { ...how, input: "logits" }, gradients);
  return { ...found, gradient: how.addTo?.gradient ?? { data: found.gradient.data, shape } };
}

// r·log r is 0 where r is. expm1 keeps the digits where d is small and r − 1 would be 0.
const VALUES: Record<Direction, Record<Estimator, (d: number) => number>> = {
  forward: {
    k1: (d) => d,
    k2: (d) => d ** 2 / 2,
    k3: (d) => (d === Number.POSITIVE_INFINITY ? d : notNegative(Math.expm1(-d) + d)),
  },
  reverse: {
    k1: (d) => (d === Number.POSITIVE_INFINITY ? 0 : -d * Math.exp(-d)),
    k2: (d) => d ** 2 / 2,
    k3: (d) => (d === Number.POSITIVE_INFINITY ? 1 : notNegative(-d * Math.exp(-d) - Math.expm1(-d))),
  },
};

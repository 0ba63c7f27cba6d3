import { type Direction, parseDirection } from "../direction.ts";
import {
  type GradientOptions,
  oneOf,
  type Reduced,
  type Reduction,
  ROW_DEFAULTS,
  type RowOptions,
  type WithGradient,
} from "../options.ts";
import { notNegative, type Row, type RowFormula } from "../row.ts";
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
  /** Which KL is estimated: `"p||q"`, KL(model‖reference), or `"q||p"`, KL(reference‖model). Default `"p||q"`. */
  readonly direction?: Direction;
}

/** The default of each option of `sampledKL`. */
export const SAMPLED_KL_DEFAULTS = { reduction: ROW_DEFAULTS.reduction, estimator: "k3", direction: "p||q" } as const;

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
 * The gradient is with respect to the drawn token's log-probability, and the same for all estimators, NaN where it is not
 * finite. Multiplied by the gradient of log p(token), its expectation is the gradient of that KL. It is not the derivative of the estimators, which forgets that the draws depend on the model:
 * k1's is 0 on average, and k3's that of the other direction. It weighs each token by its own row alone, not
 * by what it does to later ones.
 *
 * @param p the model's tokens, marked by `drawnFromModel`, [...]; `q` the reference's log-probabilities of the same tokens, [...].
 * @returns nats, as `klDivergence`.
 * @throws TypeError for tokens that are not marked; RangeError for shapes that differ or an invalid option.
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
  const {
    estimator = SAMPLED_KL_DEFAULTS.estimator,
    direction = SAMPLED_KL_DEFAULTS.direction,
    ...rowOptions
  } = options;
  oneOf("estimator", estimator, ["k1", "k2", "k3"]);
  const way = parseDirection(direction);
  const { data, shape } = p.logprobs;
  if (!sameShape(shape, q.shape)) {
    throw new RangeError(
      `p is ${formatShape(shape)} and q ${formatShape(q.shape)}: both must hold the log-probability of the same tokens`,
    );
  }
  const value = VALUES[way][estimator];
  const tokenRow = ({ index, gradient }: Row) => {
    const d = data[index]! - q.data[index]!;
    if (gradient) {
      const ofToken = way === "p||q" ? d : -Math.expm1(-d);
      gradient[0] = Number.isFinite(ofToken) ? ofToken : Number.NaN;
    }
    return value(d);
  };
  const formula: RowFormula = Object.assign(tokenRow, { keepsGradient: true });
  // Each token is a row of its own, with one number.
  const tokens = { data, shape: [...shape, 1] };
  const found = overRows<R>(formula, tokens, undefined, { ...rowOptions, input: "logits" }, gradients);
  return { ...found, gradient: rowOptions.addTo?.gradient ?? { data: found.gradient.data, shape } };
}

// r·log r is 0 where r is 0. expm1 is precise where d is small and r − 1 would be 0.
const VALUES: Record<ReturnType<typeof parseDirection>, Record<Estimator, (d: number) => number>> = {
  "p||q": {
    k1: (d) => d,
    k2: (d) => d ** 2 / 2,
    k3: (d) => (d === Number.POSITIVE_INFINITY ? d : notNegative(Math.expm1(-d) + d)),
  },
  "q||p": {
    k1: (d) => (d === Number.POSITIVE_INFINITY ? 0 : -d * Math.exp(-d)),
    k2: (d) => d ** 2 / 2,
    k3: (d) => {
      if (d === Number.POSITIVE_INFINITY) return 1;
      const above = Math.expm1(-d);
      return above === Number.POSITIVE_INFINITY ? above : notNegative(-d * Math.exp(-d) - above);
    },
  },
};

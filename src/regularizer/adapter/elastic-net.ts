import { UserError } from "../../common/errors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { type AdapterPenalty, type Factors, isAmong } from "./contract.ts";

/** Settings of `l1` and `l2`. */
export interface NormOptions {
  /** Unique among the regularizers of a run. Default: its type, such as `"l2"`. */
  readonly name?: string | undefined;
  /** The matrices that count: `"A"`, `"B"` or `"both"`. Default `"both"`. */
  readonly factors?: Factors | undefined;
}

/** Settings of `elasticNet`. */
export interface ElasticNetOptions extends NormOptions {
  /** ρ, the share of the L1 norm, from 0 to 1. Default 0.5. */
  readonly l1Ratio?: number | undefined;
}

/** Defaults of `l1`, `l2` and `elasticNet`: a sum over all entries is a large number, so its weight is small. */
export const ELASTIC_NET_DEFAULTS = { weight: 1e-3, factors: "both", l1Ratio: 0.5 } as const;

/**
 * Σ |w| over the entries of an adapter's matrices, its gradient sign(w), 0 at 0. Drives entries to exactly 0, one after the
 * other. Metric: `l1`.
 *
 * @example const sparse = l1({ factors: "B" });
 * @see Tibshirani 1996, Regression Shrinkage and Selection via the Lasso
 */
export function l1({ name = "l1", factors }: NormOptions = {}): AdapterPenalty {
  return norms({ name, factors, l1Ratio: 1 }, "l1");
}

/**
 * ½·Σ w² over the entries of an adapter's matrices, its gradient w. Draws all of them towards 0, large ones most; over both
 * factors it bounds the nuclear norm of the update, ‖B·A‖ ≤ ½·(‖A‖² + ‖B‖²). Unlike AdamW's `weight_decay` it is part of the
 * loss, so the optimizer scales it as it does the rest. Metric: `l2`.
 *
 * @example const small = l2();
 * @see Srebro, Rennie & Jaakkola 2004, Maximum-Margin Matrix Factorization (the bound)
 */
export function l2({ name = "l2", factors }: NormOptions = {}): AdapterPenalty {
  return norms({ name, factors, l1Ratio: 0 }, "l2");
}

/**
 * ρ·Σ |w| + (1 − ρ)/2·Σ w² over the entries of an adapter's matrices, its gradient ρ·sign(w) + (1 − ρ)·w. `l1` and `l2` are
 * its ends. Metric: `elastic_net`.
 *
 * @throws UserError for a ratio outside 0 to 1, or invalid factors.
 * @example const both = elasticNet({ l1Ratio: 0.2 });
 * @see Zou & Hastie 2005, Regularization and Variable Selection via the Elastic Net; scikit-learn's `ElasticNet` (the form)
 */
export function elasticNet({
  name = "elastic_net",
  factors,
  l1Ratio = ELASTIC_NET_DEFAULTS.l1Ratio,
}: ElasticNetOptions = {}): AdapterPenalty {
  if (!(l1Ratio >= 0 && l1Ratio <= 1))
    throw new UserError(`the L1 ratio of an elastic net is ${l1Ratio}, expected a number from 0 to 1`);
  return norms({ name, factors, l1Ratio }, "elastic_net");
}

function norms(
  {
    name,
    factors = ELASTIC_NET_DEFAULTS.factors,
    l1Ratio,
  }: { name: string; factors: Factors | undefined; l1Ratio: number },
  metric: string,
): AdapterPenalty {
  checkFactors(factors);
  return {
    name,
    weight: ELASTIC_NET_DEFAULTS.weight,
    compute: (matrices) => {
      let [absolute, square] = [0, 0];
      const gradient = new Map<string, Tensor>();
      for (const [matrix, { data, shape }] of matrices) {
        if (!isAmong(factors, matrix)) continue;
        for (const w of data) {
          absolute += Math.abs(w);
          square += w * w;
        }
        const own = data.map((w) => l1Ratio * Math.sign(w) + (1 - l1Ratio) * w);
        gradient.set(matrix, { data: own, shape });
      }
      const value = l1Ratio * absolute + ((1 - l1Ratio) / 2) * square;
      return { value, gradient, metrics: { [metric]: value } };
    },
  };
}

/** @throws UserError */
export function checkFactors(factors: Factors): void {
  if (!["both", "A", "B"].includes(factors))
    throw new UserError(`factors is ${JSON.stringify(factors)}, expected A, B or both`);
}

import type { DivergenceOptions, GradientOptions, Reduced, Reduction, WithGradient } from "./options.ts";
import type { RowFormula } from "./row.ts";
import { overRows } from "./rows.ts";
import type { Tensor } from "./tensor.ts";

/** A divergence of p, the model, from q, the reference: its value alone, or with its gradient with respect to p. */
export interface Divergence<Own = unknown> {
  <R extends Reduction = "mean">(p: Tensor, q: Tensor, options?: DivergenceOptions<R> & Own): Reduced<R>;
  withGradient<R extends Reduction = "mean">(
    p: Tensor,
    q: Tensor,
    options?: DivergenceOptions<R> & Own & GradientOptions,
  ): WithGradient<R>;
}

/** Makes a divergence from its formula for one row, which `choose` picks by the divergence's own options. */
export function divergence<Own = unknown>(choose: (own: Partial<Own>) => RowFormula): Divergence<Own> {
  const value = <R extends Reduction = "mean">(
    p: Tensor,
    q: Tensor,
    options: DivergenceOptions<R> & Partial<Own> = {},
  ): Reduced<R> => overRows<R>(choose(options), p, q, options, false).value;
  const withGradient = <R extends Reduction = "mean">(
    p: Tensor,
    q: Tensor,
    options: DivergenceOptions<R> & Partial<Own> & GradientOptions = {},
  ): WithGradient<R> => overRows<R>(choose(options), p, q, options, true);
  return Object.assign(value, { withGradient });
}

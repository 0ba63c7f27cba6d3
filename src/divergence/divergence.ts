import type { DivergenceOptions, GradientOptions, Reduced, Reduction, WithGradient } from "./options.ts";
import type { RowFormula } from "./row.ts";
import { overRows } from "./rows.ts";
import { overTopK, type TopKOptions, type TopKWithGradient } from "./supports/over-top-k.ts";
import type { TopK } from "./supports/top-k.ts";
import type { Tensor } from "./tensor.ts";

/** A distribution per row: over the whole vocabulary, or known at k tokens. */
type Side = Tensor | TopK;
/** What the model may be, what may be asked and what comes back, given the reference. */
type ModelFor<Q extends Side> = Q extends TopK ? Side : Tensor;
type OptionsFor<Q extends Side, R extends Reduction> = DivergenceOptions<R> & (Q extends TopK ? TopKOptions : unknown);
type FoundFor<Q extends Side, R extends Reduction> = Q extends TopK ? TopKWithGradient<R> : WithGradient<R>;

/**
 * A divergence of p, the model, from q, the reference: its value alone, or with its gradient with respect to p. With a
 * top-k reference the model may be known over the whole vocabulary or at the same k tokens.
 */
export interface Divergence<Own = object> {
  <R extends Reduction = "mean", Q extends Side = Tensor>(
    p: ModelFor<Q>,
    q: Q,
    options?: OptionsFor<Q, R> & Own,
  ): Reduced<R>;
  withGradient<R extends Reduction = "mean", Q extends Side = Tensor>(
    p: ModelFor<Q>,
    q: Q,
    options?: OptionsFor<Q, R> & Own & GradientOptions,
  ): FoundFor<Q, R>;
}

/** Makes a divergence from its formula for one row, which `choose` picks by the divergence's own options. */
export function divergence<Own = object>(choose: (own: Partial<Own>) => RowFormula): Divergence<Own> {
  const over = <R extends Reduction>(
    p: Side,
    q: Side,
    options: DivergenceOptions<R> & TopKOptions & Partial<Own> & GradientOptions,
    gradients: boolean,
  ): WithGradient<R> => {
    const formula = choose(options);
    if (isTopK(q)) return overTopK<R>(formula, isTopK(p) ? p : whole("p", p), q, options, gradients);
    return overRows<R>(formula, whole("p", p), whole("q", q), options, gradients);
  };
  const value = <R extends Reduction, Q extends Side>(
    p: ModelFor<Q>,
    q: Q,
    options?: OptionsFor<Q, R> & Own,
  ): Reduced<R> => over<R>(p, q, { ...options } as DivergenceOptions<R> & Partial<Own>, false).value;
  const withGradient = <R extends Reduction, Q extends Side>(
    p: ModelFor<Q>,
    q: Q,
    options?: OptionsFor<Q, R> & Own & GradientOptions,
  ) => over<R>(p, q, { ...options } as DivergenceOptions<R> & Partial<Own>, true) as FoundFor<Q, R>;
  return Object.assign(value, { withGradient });
}

function isTopK(side: Side): side is TopK {
  return "support" in side && side.support === "topK";
}

/** @throws TypeError for a support that the divergences over the whole vocabulary do not take. */
function whole(name: string, side: Side): Tensor {
  if ("shape" in side) return side;
  throw new TypeError(
    `${name} is not a tensor over the whole vocabulary: a top-k model takes a top-k reference of the same tokens, a sparse sample sparseKL, and tokens drawn from the model sampledKL`,
  );
}

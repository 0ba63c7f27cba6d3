import { entropyKernel } from "./kernel/entropy-kernel.ts";
import { onKernels } from "./kernel/kernel-rows.ts";
import type { GradientOptions, Reduced, Reduction, RowOptions, WithGradient } from "./options.ts";
import { notNegative, type Row } from "./row.ts";
import { overRows } from "./rows.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The entropy of each row's distribution: H = −Σ p·log p, its gradient −p·(log p + H).
 *
 * From 0 (one certain outcome) to ln V (uniform). Shapes, options and errors as `klDivergence`, without its reference.
 *
 * @example entropy(tensor([0.5, 0.5].map(Math.log), [1, 2])); // ln 2 = 0.6931
 * @see Shannon 1948, A Mathematical Theory of Communication
 */
export function entropy<R extends Reduction = "mean">(p: Tensor, options: RowOptions<R> = {}): Reduced<R> {
  return overRows<R>(entropyRow, p, undefined, options, false).value;
}

entropy.withGradient = <R extends Reduction = "mean">(
  p: Tensor,
  options: RowOptions<R> & GradientOptions = {},
): WithGradient<R> => overRows<R>(entropyRow, p, undefined, options, true);

function entropyRow({ p, logP, gradient }: Row): number {
  let entropy = 0;
  for (let i = 0; i < p.length; i++) if (p[i] !== 0) entropy -= p[i]! * logP[i]!;
  if (gradient) for (let i = 0; i < p.length; i++) gradient[i] = p[i] === 0 ? 0 : -p[i]! * (logP[i]! + entropy);
  return notNegative(entropy);
}
entropyRow.kernel = /* @__PURE__ */ onKernels(entropyKernel);

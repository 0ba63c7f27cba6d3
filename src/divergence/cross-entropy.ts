import { crossEntropyKernel } from "./kernel/cross-entropy-kernel.ts";
import { onKernels } from "./kernel/kernel-rows.ts";
import type { GradientOptions, Reduced, Reduction, RowOptions, WithGradient } from "./options.ts";
import type { Row, RowFormula } from "./row.ts";
import { overRows } from "./rows.ts";
import { formatShape, type IntTensor, type Tensor } from "./tensor.ts";

/**
 * The cross-entropy at target tokens: −log p[target] of each row, its gradient p − onehot(target).
 *
 * +∞ where the target is impossible. Shapes, options and errors as `klDivergence`, with one token id per row in place of the
 * reference: `targets` is [...] for p [..., V].
 *
 * @throws RangeError also for a target outside the vocabulary, in a row of weight above 0.
 * @example crossEntropy(p, { data: Int32Array.of(0), shape: [1] }); // −ln 0.4 = 0.9163
 * @see Good 1952, Rational Decisions (the logarithmic score)
 */
export function crossEntropy<R extends Reduction = "mean">(
  p: Tensor,
  targets: IntTensor,
  options: RowOptions<R> = {},
): Reduced<R> {
  return overRows<R>(atTargets(p, targets), p, undefined, options, false).value;
}

crossEntropy.withGradient = <R extends Reduction = "mean">(
  p: Tensor,
  targets: IntTensor,
  options: RowOptions<R> & GradientOptions = {},
): WithGradient<R> => overRows<R>(atTargets(p, targets), p, undefined, options, true);

function atTargets({ shape, data }: Tensor, targets: IntTensor): RowFormula {
  const rows = data.length / (shape.at(-1) || 1);
  if (targets.data.length !== rows) {
    throw new RangeError(
      `found ${targets.data.length} target tokens for p ${formatShape(shape)}: give one per row, ${rows}`,
    );
  }
  const formula = ({ index, p, logP, gradient }: Row) => {
    const target = targets.data[index]!;
    if (target < 0 || target >= p.length) {
      throw new RangeError(`the target of row ${index} is token ${target}, expected 0 to ${p.length - 1}`);
    }
    if (gradient) {
      gradient.set(p);
      gradient[target]! -= 1;
    }
    return Math.max(0, -logP[target]!);
  };
  return Object.assign(formula, { kernel: onKernels(crossEntropyKernel(targets.data)) });
}

import type { Tensor } from "../divergence/tensor.ts";
import type { GradientSum } from "./contract.ts";

/** Tensors of zeros, shaped like those given. */
export function zerosLike(tensors: readonly Tensor[]): Tensor[] {
  return tensors.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
}

/** The sum that a penalty adds to: the caller's, or a new one that holds the penalty alone. */
export function gradientSum(addTo: GradientSum | undefined, logprobs: readonly Tensor[]): GradientSum {
  return addTo ?? { gradient: zerosLike(logprobs), scale: 1 };
}

/** Adds scale · gradient. */
export function addGradient(sum: GradientSum, gradient: readonly Tensor[]): void {
  const { scale } = sum;
  if (scale === 0) return;
  gradient.forEach(({ data }, i) => {
    const into = sum.gradient[i]!.data;
    for (let k = 0; k < data.length; k++) into[k]! += scale * data[k]!;
  });
}

/** Σ over all numbers of one · other, in float64. */
export function innerProduct(one: readonly Tensor[], other: readonly Tensor[]): number {
  let sum = 0;
  for (const [i, { data }] of one.entries()) {
    const against = other[i]!.data;
    for (let k = 0; k < data.length; k++) sum += data[k]! * against[k]!;
  }
  return sum;
}

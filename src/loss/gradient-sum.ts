import type { Tensor } from "../divergence/tensor.ts";
import type { GradientSum } from "./legacy.ts";

/** Tensors of zeros, shaped like those given, one after another in this memory. */
function zerosIn(memory: Float32Array, like: readonly Tensor[]): Tensor[] {
  let from = 0;
  return like.map(({ data, shape }) => {
    const part = memory.subarray(from, from + data.length);
    from += data.length;
    return { data: part.fill(0), shape };
  });
}

const sizeOf = (tensors: readonly Tensor[]) => tensors.reduce((sum, { data }) => sum + data.length, 0);

/** Tensors of zeros, shaped like those given, in memory that the next call gives again: fresh memory costs more than what is computed into it. */
export function reusedZeros(): (like: readonly Tensor[]) => Tensor[] {
  let memory = new Float32Array(0);
  return (like) => {
    const size = sizeOf(like);
    if (memory.length < size) memory = new Float32Array(size);
    return zerosIn(memory, like);
  };
}

/** The same for gradients of which several are needed for a moment. */
export class SpareMemory {
  readonly #spare: Float32Array[] = [];

  /** Tensors of zeros, shaped like those given, in memory that is to be given back. */
  take(like: readonly Tensor[]): { readonly gradient: readonly Tensor[]; readonly memory: Float32Array } {
    const size = sizeOf(like);
    const found = this.#spare.pop();
    const memory = found && found.length >= size ? found : new Float32Array(size);
    return { gradient: zerosIn(memory, like), memory };
  }

  giveBack(memory: Float32Array): void {
    this.#spare.push(memory);
  }
}

/** The sum that a penalty adds to: the caller's, or a new one that holds the penalty alone. */
export function gradientSum(addTo: GradientSum | undefined, logprobs: readonly Tensor[]): GradientSum {
  return addTo ?? { gradient: zerosIn(new Float32Array(sizeOf(logprobs)), logprobs), scale: 1 };
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

/** ‖own‖², and with a task own·task and ‖task‖²: over all numbers, in float64, in one pass. */
export function gradientSums(own: readonly Tensor[], task: readonly Tensor[] | undefined) {
  let [square, product, taskSquare] = [0, 0, 0];
  for (const [i, { data }] of own.entries()) {
    if (!task) {
      for (let k = 0; k < data.length; k++) square += data[k]! * data[k]!;
      continue;
    }
    const against = task[i]!.data;
    for (let k = 0; k < data.length; k++) {
      const x = data[k]!;
      const y = against[k]!;
      square += x * x;
      product += x * y;
      taskSquare += y * y;
    }
  }
  return { square, ...(task && { product, taskSquare }) };
}

import type { Tensor } from "../divergence/tensor.ts";
import type { GradientSum } from "./contract.ts";

const sizeOf = (tensors: readonly Tensor[]) => tensors.reduce((sum, { data }) => sum + data.length, 0);

/** Memory that is used again for gradients of a moment: fresh memory costs more than what is computed into it. */
export class GradientMemory {
  #spare: Float32Array | undefined;

  /** Tensors of zeros, shaped like those given; their memory serves the next call once it was given back. */
  take(like: readonly Tensor[]): { readonly zeros: readonly Tensor[]; readonly giveBack: () => void } {
    const size = sizeOf(like);
    const memory = this.#spare && this.#spare.length >= size ? this.#spare : new Float32Array(size);
    this.#spare = undefined;
    let from = 0;
    const zeros = like.map(({ data, shape }) => {
      const part = memory.subarray(from, from + data.length);
      from += data.length;
      return { data: part.fill(0), shape };
    });
    const giveBack = () => {
      this.#spare = memory;
    };
    return { zeros, giveBack };
  }
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

/** Sums over all numbers of gradients, in float64, in the making: ‖own‖², own·task and ‖task‖². */
export class GradientSums {
  square = 0;
  product = 0;
  taskSquare = 0;

  /** Counts a part in; without a task its own square alone. */
  add(own: readonly Tensor[], task: readonly Tensor[] | undefined): void {
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
    this.square += square;
    this.product += product;
    this.taskSquare += taskSquare;
  }

  /** The L2 norm. */
  get norm(): number {
    return Math.sqrt(this.square);
  }

  /** The cosine between the two; undefined where one of them is 0. */
  get cosine(): number | undefined {
    return this.square > 0 && this.taskSquare > 0 ? this.product / Math.sqrt(this.square * this.taskSquare) : undefined;
  }
}

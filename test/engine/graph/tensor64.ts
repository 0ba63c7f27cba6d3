import type { Random } from "../../../src/common/random.ts";

/** Numbers in float64 under a shape, row-major: what the tests compute with. */
export interface Tensor64 {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

export const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** The tensor whose number at each index is `at(index)`. */
export function tabulate(shape: readonly number[], at: (index: readonly number[]) => number): Tensor64 {
  const data = new Float64Array(elements(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let n = 0; n < data.length; n++) {
    data[n] = at(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return { data, shape };
}

/** The number at `index`, broadcast: aligned at the last dimension, and dimensions of size 1 repeat. */
export function at({ data, shape }: Tensor64, index: readonly number[]): number {
  let offset = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const i = index[index.length - shape.length + axis]!;
    offset = offset * shape[axis]! + (shape[axis] === 1 ? 0 : i);
  }
  return data[offset]!;
}

export const dot = (a: Tensor64, b: Tensor64) => a.data.reduce((sum, x, i) => sum + x * b.data[i]!, 0);

/** Numbers of either sign and of sizes from 0.25 to 1.25: away from 0, where reciprocals bend; exact in float32. */
export function noise(random: Random, shape: readonly number[]): Tensor64 {
  return tabulate(shape, () => Math.fround((random() < 0.5 ? -1 : 1) * (0.25 + random())));
}

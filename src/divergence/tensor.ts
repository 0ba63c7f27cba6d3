/** A dense row-major float32 tensor. `data.length` is the product of `shape`. */
export interface Tensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A dense row-major int32 tensor: token ids or positions. */
export interface IntTensor {
  readonly data: Int32Array;
  readonly shape: readonly number[];
}

/**
 * Wraps `data` as a tensor.
 *
 * @throws RangeError when the shape does not hold exactly `data.length` numbers.
 * @example tensor([Math.log(0.4), Math.log(0.6)], [1, 2])
 */
export function tensor(data: Float32Array | readonly number[], shape: readonly number[]): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  if (data.length !== size) {
    throw new RangeError(`a tensor of shape ${formatShape(shape)} holds ${size} numbers, found ${data.length}`);
  }
  return { data: data instanceof Float32Array ? data : Float32Array.from(data), shape };
}

/** Writes a shape the way messages show it: `[2, 3]`. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** Whether both have the same number of axes and the same length along each. */
export function sameShape(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((n, axis) => n === other[axis]);
}

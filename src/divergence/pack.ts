import { formatShape, sameShape, type Tensor } from "./tensor.ts";

/** The rows of several tensors in one, without padding. A tensor like any other: every function here takes it. */
export interface Packed extends Tensor {
  /** The rows of part i are `offsets[i]` to before `offsets[i + 1]`. */
  readonly offsets: Int32Array;
}

/**
 * Copies the rows of parts of unequal length, such as the texts of a batch, into one tensor: [M₀, V], [M₁, V], … become
 * [M₀ + M₁ + …, V]. A mean over it divides by the total weight once; it is never a mean of the parts' means.
 *
 * @throws RangeError for no parts, or parts that differ in another axis than their first.
 * @example
 * const p = pack([tensor([0.4, 0.6].map(Math.log), [1, 2]), tensor([0.5, 0.5, 0.9, 0.1].map(Math.log), [2, 2])]);
 * p.shape; // [3, 2]
 * p.offsets; // [0, 1, 3]
 */
export function pack(parts: readonly Tensor[]): Packed {
  const first = parts[0];
  if (!first) throw new RangeError("found no tensors to pack, expected at least one");
  const rowShape = first.shape.slice(1);
  for (const [i, { shape }] of parts.entries()) {
    if (shape.length === 0 || !sameShape(shape.slice(1), rowShape)) {
      throw new RangeError(
        `part ${i} is ${formatShape(shape)} and part 0 ${formatShape(first.shape)}: only the first axis may differ`,
      );
    }
  }
  const data = new Float32Array(parts.reduce((size, part) => size + part.data.length, 0));
  const offsets = new Int32Array(parts.length + 1);
  let at = 0;
  for (const [i, part] of parts.entries()) {
    data.set(part.data, at);
    at += part.data.length;
    offsets[i + 1] = offsets[i]! + part.shape[0]!;
  }
  return { data, shape: [offsets[parts.length]!, ...rowShape], offsets };
}

/**
 * The parts of a packed tensor again, or of anything computed from it that has its rows (per-row values, a gradient). They
 * are views: no numbers are copied.
 *
 * @throws RangeError when the offsets end at another row than the tensor.
 * @example const [first, second] = unpack(klDivergence.withGradient(p, q).gradient, p.offsets);
 */
export function unpack({ data, shape }: Tensor, offsets: Int32Array): Tensor[] {
  const [rows = 0, ...rowShape] = shape;
  if (offsets.at(-1) !== rows) throw new RangeError(`the offsets end at row ${offsets.at(-1)}, the tensor at ${rows}`);
  const size = data.length / (rows || 1);
  return Array.from(offsets.subarray(1), (to, i) => {
    const from = offsets[i]!;
    return { data: data.subarray(from * size, to * size), shape: [to - from, ...rowShape] };
  });
}

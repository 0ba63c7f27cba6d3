import { type Attributes, type Dim, topological, type Value } from "../../../src/engine/graph/value.ts";
import { at, elements, type Tensor64, tabulate } from "./tensor64.ts";

/**
 * @file A second meaning of the graphs: every operator straight from its definition, in float64, slowly. ONNX Runtime
 * and the reverse-mode rules are tested against it, so it shares nothing with either.
 */

/** Sizes that are known by number; one of a reshape may be missing. */
type Sizes = readonly (number | undefined)[];
type Definition = (inputs: readonly Tensor64[], attributes: Attributes, shape: Sizes) => Tensor64;

const DEFINITIONS: Readonly<Record<string, Definition>> = {
  gemm: product,
  matmul: product,
  add: elementwise((a, b) => a + b),
  sub: elementwise((a, b) => a - b),
  mul: elementwise((a, b) => a * b),
  scale: ([x], { factor }) => map(x!, (number) => (factor as number) * number),
  sigmoid: ([x]) => map(x!, sigma),
  silu: ([x]) => map(x!, (number) => number * sigma(number)),
  shift: ([x], { by }) => map(x!, (number) => number + (by as number)),
  geluTanh: ([x]) =>
    map(x!, (number) => (number / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (number + 0.044715 * number ** 3)))),

  reshape: ([x], _attributes, shape) => {
    if (shape.filter((size) => size === undefined).length > 1) throw new Error("a reshape has two unknown sizes");
    const known = elements(shape.map((size) => size ?? 1));
    return { data: x!.data, shape: shape.map((size) => size ?? x!.data.length / known) };
  },

  transpose: ([x], { perm }) => {
    const axes = perm as readonly number[];
    const source = new Array<number>(axes.length);
    return tabulate(
      axes.map((axis) => x!.shape[axis]!),
      (index) => {
        for (const [i, axis] of axes.entries()) source[axis] = index[i]!;
        return at(x!, source);
      },
    );
  },

  concat: (parts, attributes) => {
    const axis = attributes.axis as number;
    const total = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
    return tabulate(parts[0]!.shape.with(axis, total), (index) => {
      let rest = index[axis]!;
      let part = 0;
      while (rest >= parts[part]!.shape[axis]!) rest -= parts[part++]!.shape[axis]!;
      return at(parts[part]!, index.with(axis, rest));
    });
  },

  slice: ([x], { axis, last }, shape) => {
    const at0 = last ? x!.shape[axis as number]! - shape[axis as number]! : 0;
    const sizes = x!.shape.with(axis as number, shape[axis as number]!);
    return tabulate(sizes, (index) => at(x!, index.with(axis as number, index[axis as number]! + at0)));
  },

  reduceSum: ([x], attributes) => {
    const axes = attributes.axes as readonly number[];
    const sums = tabulate(
      x!.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
      () => 0,
    );
    tabulate(x!.shape, (index) => {
      const offset = sums.shape.reduce((above, size, axis) => above * size + (size === 1 ? 0 : index[axis]!), 0);
      sums.data[offset]! += at(x!, index);
      return 0;
    });
    return sums;
  },

  softmax: ([x]) =>
    rows(x!, (row) => {
      const largest = Math.max(...row);
      const total = row.reduce((sum, number) => sum + Math.exp(number - largest), 0);
      return row.map((number) => Math.exp(number - largest) / total);
    }),

  logSoftmax: ([x]) =>
    rows(x!, (row) => {
      const largest = Math.max(...row);
      const logTotal = largest + Math.log(row.reduce((sum, number) => sum + Math.exp(number - largest), 0));
      return row.map((number) => number - logTotal);
    }),

  rmsNorm: ([x, gain], { epsilon }) =>
    rows(x!, (row) => row.map((number, i) => (gain!.data[i]! * number) / rootMeanSquare(row, epsilon as number))),

  rmsInverse: ([x], { epsilon }) => rows(x!, (row) => [1 / rootMeanSquare(row, epsilon as number)]),

  /** Per head, as Hugging Face writes it: x·cos + rotate_half(x)·sin, where rotate_half(x) = (−x₂, x₁) for halves x₁, x₂. */
  rope: ([x, positions, cos, sin], { inverse }) => {
    const half = cos!.shape[1]!;
    return tabulate(x!.shape, ([sequence, step, feature]) => {
      const angle = [at(positions!, [sequence!, step!]), feature! % half];
      const first = feature! % (2 * half) < half;
      const partner = at(x!, [sequence!, step!, feature! + (first ? half : -half)]);
      const sine = inverse ? -at(sin!, angle) : at(sin!, angle);
      return at(x!, [sequence!, step!, feature!]) * at(cos!, angle) + (first ? -partner : partner) * sine;
    });
  },
};

/** α·op(a)·op(b) + c over the last two dimensions. */
function product([a, b, c]: readonly Tensor64[], { transA, transB, alpha }: Attributes): Tensor64 {
  const [left, right] = [transA ? swapLast(a!) : a!, transB ? swapLast(b!) : b!];
  const depth = left.shape.at(-1)!;
  const [i, j] = [left.shape.length - 2, left.shape.length - 1];
  return tabulate(left.shape.with(j, right.shape.at(-1)!), (index) => {
    const [l, r] = [[...index], [...index]];
    let sum = 0;
    for (let k = 0; k < depth; k++) {
      l[j] = k;
      r[i] = k;
      sum += at(left, l) * at(right, r);
    }
    return (alpha as number) * sum + (c ? at(c, index) : 0);
  });
}

function swapLast(x: Tensor64): Tensor64 {
  const axes = x.shape.map((_, axis) => axis);
  return DEFINITIONS.transpose!([x], { perm: [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!] }, []);
}

function elementwise(combine: (a: number, b: number) => number): Definition {
  return ([a, b]) => {
    const rank = Math.max(a!.shape.length, b!.shape.length);
    const shape = Array.from({ length: rank }, (_, i) => {
      const [m, n] = [a!.shape.at(i - rank) ?? 1, b!.shape.at(i - rank) ?? 1];
      return m === 1 ? n : m;
    });
    return tabulate(shape, (index) => combine(at(a!, index), at(b!, index)));
  };
}

const map = (x: Tensor64, each: (number: number) => number): Tensor64 => ({ data: x.data.map(each), shape: x.shape });
const sigma = (x: number) => 1 / (1 + Math.exp(-x));

/** Applies `each` to every row along the last dimension. */
function rows(x: Tensor64, each: (row: readonly number[]) => readonly number[]): Tensor64 {
  const width = x.shape.at(-1)!;
  const results = Array.from({ length: x.data.length / width }, (_, i) =>
    each([...x.data.subarray(i * width, (i + 1) * width)]),
  );
  return { data: Float64Array.from(results.flat()), shape: [...x.shape.slice(0, -1), results[0]!.length] };
}

function rootMeanSquare(row: readonly number[], epsilon: number): number {
  return Math.sqrt(row.reduce((sum, number) => sum + number * number, 0) / row.length + epsilon);
}

/**
 * Computes `outputs`. Named dimensions take their sizes from what is fed; every value computed on the way must have
 * the shape that its graph promises.
 *
 * @param feeds inputs by name.
 * @param sizes of named dimensions that nothing fed tells.
 * @param given values taken as they are instead of computed.
 */
export function evaluate(
  outputs: readonly Value[],
  feeds: ReadonlyMap<string, Tensor64>,
  sizes: Readonly<Record<string, number>> = {},
  given: ReadonlyMap<Value, Tensor64> = new Map(),
): Tensor64[] {
  const order = topological(outputs, new Set(given.keys()));
  const results = new Map<Value, Tensor64>();
  const dimensions = new Map(Object.entries(sizes));
  const settle = (value: Value, result: Tensor64) => {
    const fits = (dim: Dim, i: number) => {
      const size = result.shape[i]!;
      if (typeof dim === "string" && !dimensions.has(dim)) dimensions.set(dim, size);
      return (typeof dim === "string" ? dimensions.get(dim) : dim) === size;
    };
    if (value.shape.length !== result.shape.length || !value.shape.every(fits)) {
      const what = value.operator?.name ?? value.name;
      throw new Error(`${what} is promised as [${value.shape}] and has the shape [${result.shape}]`);
    }
    results.set(value, result);
  };

  for (const value of order) {
    const known = given.get(value) ?? (value.operator === null ? feeds.get(value.name!) : undefined);
    if (known) settle(value, known);
  }
  for (const value of order) {
    if (results.has(value)) continue;
    if (value.operator === null) throw new Error(`the input ${value.name} was not fed`);
    const definition = DEFINITIONS[value.operator.name];
    if (!definition) throw new Error(`the interpreter has no definition of ${value.operator.name}`);
    const shape = value.shape.map((dim) => (typeof dim === "number" ? dim : dimensions.get(dim)));
    const inputs = value.inputs.map((below) => results.get(below)!);
    settle(value, definition(inputs, value.attributes, shape));
  }
  return outputs.map((output) => results.get(output)!);
}

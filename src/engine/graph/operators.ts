import type { Attributes, Dim, Operator, Value } from "./value.ts";

/**
 * @file The operators that a decoder needs, each with its ONNX form and its reverse-mode rule. Rules are written with
 * the same operators, so a gradient is one more graph.
 */

function apply(
  operator: Operator,
  inputs: readonly Value[],
  shape: readonly Dim[],
  attributes: Attributes = {},
): Value {
  return { operator, inputs, attributes, shape, type: "float32" };
}

const MICROSOFT = "com.microsoft";

// Matrix products ----------------------------------------------------------------------------------------------------

interface Product {
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
}

/** The rules of y = α·op(a)·op(b), for matrices and for stacks of them. */
function productGradient(product: (a: Value, b: Value, options: Product) => Value): NonNullable<Operator["gradient"]> {
  return ({ inputs: [a, b, c], attributes }, dy) => {
    const [transA, transB, alpha] = [!!attributes.transA, !!attributes.transB, attributes.alpha as number];
    const rules: (() => Value)[] = [
      () =>
        transA ? product(b!, dy, { transA: transB, transB: true, alpha }) : product(dy, b!, { transB: !transB, alpha }),
      () =>
        transB ? product(dy, a!, { transA: true, transB: transA, alpha }) : product(a!, dy, { transA: !transA, alpha }),
    ];
    return c ? [...rules, () => unbroadcast(dy, c)] : rules;
  };
}

function productShape(a: Value, b: Value, { transA, transB }: Product): readonly Dim[] {
  const stack = a.shape.slice(0, -2);
  return [...stack, a.shape.at(transA ? -1 : -2)!, b.shape.at(transB ? -2 : -1)!];
}

function productAttributes({ transA = false, transB = false, alpha = 1 }: Product): Attributes {
  return { transA: Number(transA), transB: Number(transB), alpha };
}

const gemmOperator: Operator = {
  name: "gemm",
  isResidual: true,
  emit: (emitter, { attributes }, inputs) => emitter.node("Gemm", inputs, attributes),
  gradient: productGradient(gemm),
};

/** α·op(a)·op(b) + c for matrices; c, if any, broadcasts to the result: a matrix of its shape, or a bias [n]. */
export function gemm(a: Value, b: Value, options: Product & { readonly c?: Value } = {}): Value {
  const inputs = options.c ? [a, b, options.c] : [a, b];
  return apply(gemmOperator, inputs, productShape(a, b, options), productAttributes(options));
}

const matmulOperator: Operator = {
  name: "matmul",
  isResidual: true,
  emit: (emitter, { attributes }, inputs) => emitter.node("FusedMatMul", inputs, attributes, MICROSOFT),
  gradient: productGradient(matmul),
};

/** α·op(a)·op(b) for stacks of matrices of equal leading dimensions. */
export function matmul(a: Value, b: Value, options: Product = {}): Value {
  return apply(matmulOperator, [a, b], productShape(a, b, options), productAttributes(options));
}

// Elementwise, with broadcasting -------------------------------------------------------------------------------------

function broadcastShape(a: Value, b: Value): readonly Dim[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, i) => {
    const [m, n] = [a.shape.at(i - rank) ?? 1, b.shape.at(i - rank) ?? 1];
    if (m !== n && m !== 1 && n !== 1) throw new RangeError(`shapes [${a.shape}] and [${b.shape}] do not broadcast`);
    return m === 1 ? n : m;
  });
}

/** Sums `dy` over the dimensions along which `target` was broadcast. */
function unbroadcast(dy: Value, target: Value): Value {
  const lead = dy.shape.length - target.shape.length;
  const axes = dy.shape.flatMap((dim, i) => (i < lead || (target.shape[i - lead] === 1 && dim !== 1) ? [i] : []));
  return axes.length === 0 ? dy : reshape(reduceSum(dy, axes), target.shape);
}

function elementwise(type: string, gradient: NonNullable<Operator["gradient"]>): (a: Value, b: Value) => Value {
  const operator: Operator = {
    name: type.toLowerCase(),
    isResidual: false,
    emit: (emitter, _value, inputs) => emitter.node(type, inputs),
    gradient,
  };
  return (a, b) => apply(operator, [a, b], broadcastShape(a, b));
}

export const add = elementwise("Add", ({ inputs: [a, b] }, dy) => [
  () => unbroadcast(dy, a!),
  () => unbroadcast(dy, b!),
]);

export const mul = elementwise("Mul", ({ inputs: [a, b] }, dy) => [
  () => unbroadcast(mul(dy, b!), a!),
  () => unbroadcast(mul(dy, a!), b!),
]);

export const sub = elementwise("Sub", ({ inputs: [a, b] }, dy) => [
  () => unbroadcast(dy, a!),
  () => unbroadcast(scale(dy, -1), b!),
]);

const scaleOperator: Operator = {
  name: "scale",
  isResidual: false,
  emit: (emitter, { attributes }, [x]) => emitter.node("Mul", [x!, emitter.scalar(attributes.factor as number)]),
  gradient: ({ attributes }, dy) => [() => scale(dy, attributes.factor as number)],
};

/** factor·x */
export function scale(x: Value, factor: number): Value {
  return apply(scaleOperator, [x], x.shape, { factor });
}

const shiftOperator: Operator = {
  name: "shift",
  isResidual: false,
  emit: (emitter, { attributes }, [x]) => emitter.node("Add", [x!, emitter.scalar(attributes.by as number)]),
  gradient: (_, dy) => [() => dy],
};

/** x + by */
export function shift(x: Value, by: number): Value {
  return apply(shiftOperator, [x], x.shape, { by });
}

const sigmoidOperator: Operator = {
  name: "sigmoid",
  isResidual: false,
  emit: (emitter, _value, inputs) => emitter.node("Sigmoid", inputs),
  gradient: (y, dy) => [() => mul(dy, sub(y, mul(y, y)))],
};

/** 1 / (1 + e⁻ˣ) */
export function sigmoid(x: Value): Value {
  return apply(sigmoidOperator, [x], x.shape);
}

const siluOperator: Operator = {
  name: "silu",
  isResidual: false,
  emit: (emitter, _value, inputs) => emitter.node("QuickGelu", inputs, { alpha: 1 }, MICROSOFT),
  gradient: (y, dy) => [
    () => {
      const s = sigmoid(y.inputs[0]!);
      return mul(dy, add(s, sub(y, mul(y, s))));
    },
  ],
};

/** x·σ(x); its derivative is σ(x) + y·(1 − σ(x)). */
export function silu(x: Value): Value {
  return apply(siluOperator, [x], x.shape);
}

const geluTanhOperator: Operator = {
  name: "geluTanh",
  isResidual: false,
  emit: (emitter, _value, inputs) => emitter.node("FastGelu", inputs, {}, MICROSOFT),
  gradient: ({ inputs: [x] }, dy) => [
    () => {
      const square = mul(x!, x!);
      const s = sigmoid(mul(x!, shift(scale(square, GELU_CUBE * GELU_SLOPE), GELU_SLOPE)));
      const slope = mul(x!, shift(scale(square, 3 * GELU_CUBE * GELU_SLOPE), GELU_SLOPE));
      return mul(dy, add(s, mul(slope, sub(s, mul(s, s)))));
    },
  ],
};

/** 2u(x) = 2·√(2/π)·(x + 0.044715·x³), and x·(1 + tanh u)/2 = x·σ(2u). */
const [GELU_SLOPE, GELU_CUBE] = [2 * Math.sqrt(2 / Math.PI), 0.044715];

/**
 * GELU in its form with tanh, x·σ(2u); its derivative is σ + x·2u′·(σ − σ²).
 *
 * @see Hendrycks & Gimpel 2016, Gaussian Error Linear Units
 */
export function geluTanh(x: Value): Value {
  return apply(geluTanhOperator, [x], x.shape);
}

// Shape --------------------------------------------------------------------------------------------------------------

const reshapeOperator: Operator = {
  name: "reshape",
  isResidual: false,
  emit: (emitter, { shape }, [x]) => emitter.node("Reshape", [x!, emitter.shape(shape)]),
  gradient: ({ inputs: [x] }, dy) => [() => reshape(dy, x!.shape)],
};

/** The same numbers under another shape. */
export function reshape(x: Value, shape: readonly Dim[]): Value {
  return x.shape.length === shape.length && x.shape.every((dim, i) => dim === shape[i])
    ? x
    : apply(reshapeOperator, [x], shape);
}

const transposeOperator: Operator = {
  name: "transpose",
  isResidual: false,
  emit: (emitter, { attributes }, inputs) => emitter.node("Transpose", inputs, { perm: attributes.perm! }),
  gradient: ({ attributes }, dy) => [
    () => {
      const perm = attributes.perm as readonly number[];
      return transpose(
        dy,
        perm.map((_, axis) => perm.indexOf(axis)),
      );
    },
  ],
};

/** Dimension i of the result is dimension `perm[i]` of x. */
export function transpose(x: Value, perm: readonly number[]): Value {
  return apply(
    transposeOperator,
    [x],
    perm.map((axis) => x.shape[axis]!),
    { perm },
  );
}

const sliceOperator: Operator = {
  name: "slice",
  isResidual: false,
  emit: (emitter, { attributes, shape }, [x]) => {
    const axis = attributes.axis as number;
    const size = emitter.size(shape[axis]!);
    const [from, to] = attributes.last
      ? [emitter.node("Neg", [size]), emitter.integers([2 ** 31 - 1])]
      : [emitter.integers([0]), size];
    return emitter.node("Slice", [x!, from, to, emitter.integers([axis])]);
  },
};

/** The first or the last `size` entries along an axis, at least one. It has no gradient: it serves sampling. */
export function slice(x: Value, axis: number, which: "first" | "last", size: Dim): Value {
  return apply(sliceOperator, [x], x.shape.with(axis, size), { axis, last: Number(which === "last") });
}

const concatOperator: Operator = {
  name: "concat",
  isResidual: false,
  emit: (emitter, { attributes }, inputs) => emitter.node("Concat", inputs, { axis: attributes.axis! }),
};

/** Joins along `axis`, whose size is `dim` afterwards. Used for a cache of keys and values, which is never trained. */
export function concat(values: readonly Value[], axis: number, dim: Dim): Value {
  return apply(
    concatOperator,
    values,
    values[0]!.shape.map((d, i) => (i === axis ? dim : d)),
    { axis },
  );
}

// Reductions ---------------------------------------------------------------------------------------------------------

const reduceSumOperator: Operator = {
  name: "reduceSum",
  isResidual: false,
  emit: (emitter, { attributes }, [x]) =>
    emitter.node("ReduceSum", [x!, emitter.integers(attributes.axes as readonly number[])], { keepdims: 1 }),
};

/** Σ over `axes`, which stay as dimensions of size 1. */
export function reduceSum(x: Value, axes: readonly number[]): Value {
  return apply(
    reduceSumOperator,
    [x],
    x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim)),
    { axes },
  );
}

function sumRows(x: Value): Value {
  return reduceSum(x, [x.shape.length - 1]);
}

const softmaxOperator: Operator = {
  name: "softmax",
  isResidual: true,
  emit: (emitter, _value, inputs) => emitter.node("Softmax", inputs, { axis: -1 }),
  gradient: (y, dy) => [() => mul(y, sub(dy, sumRows(mul(y, dy))))],
};

/** eˣ / Σ eˣ along the last dimension. */
export function softmax(x: Value): Value {
  return apply(softmaxOperator, [x], x.shape);
}

// Of decoders --------------------------------------------------------------------------------------------------------

const rmsInverseOperator: Operator = {
  name: "rmsInverse",
  isResidual: false,
  emit: (emitter, { attributes }, [x]) => {
    const square = emitter.node("Mul", [x!, x!]);
    const mean = emitter.node("ReduceMean", [square, emitter.integers([-1])], { keepdims: 1 });
    const root = emitter.node("Sqrt", [emitter.node("Add", [mean, emitter.scalar(attributes.epsilon as number)])]);
    return emitter.node("Reciprocal", [root]);
  },
};

/** 1 / √(mean(x²) + ε) along the last dimension. */
function rmsInverse(x: Value, epsilon: number): Value {
  return apply(rmsInverseOperator, [x], [...x.shape.slice(0, -1), 1], { epsilon });
}

const rmsNormOperator: Operator = {
  name: "rmsNorm",
  isResidual: false,
  emit: (emitter, { attributes }, inputs) =>
    emitter.node("SimplifiedLayerNormalization", inputs, { axis: -1, epsilon: attributes.epsilon! }),
  gradient: ({ inputs: [x, gain], attributes }, dy) => {
    const inverse = rmsInverse(x!, attributes.epsilon as number);
    const unit = mul(x!, inverse);
    return [
      () => {
        const g = mul(dy, gain!);
        const size = x!.shape.at(-1) as number;
        return mul(inverse, sub(g, mul(unit, scale(sumRows(mul(g, unit)), 1 / size))));
      },
      () => unbroadcast(mul(dy, unit), gain!),
    ];
  },
};

/**
 * gain·x / √(mean(x²) + ε) along the last dimension; with r = 1/√(…), u = r·x and g = gain·dy: dx = r·(g − u·mean(g·u)).
 *
 * @see Zhang & Sennrich 2019, Root Mean Square Layer Normalization
 */
export function rmsNorm(x: Value, gain: Value, epsilon: number): Value {
  return apply(rmsNormOperator, [x, gain], x.shape, { epsilon });
}

const ropeOperator: Operator = {
  name: "rope",
  isResidual: true,
  emit: (emitter, { attributes }, [x, positions, cos, sin]) => {
    const turned = attributes.inverse ? emitter.node("Neg", [sin!]) : sin!;
    return emitter.node("RotaryEmbedding", [x!, positions!, cos!, turned], {}, MICROSOFT);
  },
  gradient: ({ inputs: [, positions, cos, sin], attributes }, dy) => [
    () => rope(dy, positions!, cos!, sin!, !attributes.inverse),
    null,
    null,
    null,
  ],
};

/**
 * Rotates each pair (x[i], x[i + D/2]) of every head of x [batch, length, heads·D] by the angle of its position; `cos`
 * and `sin` are [positions, D/2]. A rotation's gradient is the rotation back.
 *
 * @see Su et al. 2021, RoFormer (in the half-split layout of Hugging Face)
 */
export function rope(x: Value, positions: Value, cos: Value, sin: Value, inverse = false): Value {
  return apply(ropeOperator, [x, positions, cos, sin], x.shape, { inverse: Number(inverse) });
}

const logSoftmaxOperator: Operator = {
  name: "logSoftmax",
  isResidual: false,
  emit: (emitter, _value, inputs) => emitter.node("LogSoftmax", inputs, { axis: -1 }),
};

/** x − log Σ eˣ along the last dimension. Its gradient is the caller's: losses give theirs with respect to logits. */
export function logSoftmax(x: Value): Value {
  return apply(logSoftmaxOperator, [x], x.shape);
}

import type { Random } from "../../../src/common/random.ts";
import * as operators from "../../../src/engine/graph/operators.ts";
import { type DataType, type Dim, input, type Value } from "../../../src/engine/graph/value.ts";
import { noise, type Tensor64, tabulate } from "./tensor64.ts";

/** Sizes that a case may use for its shapes. */
export type Sizes = Readonly<Record<"a" | "b" | "m" | "n" | "k", number>>;

/** What a case builds its graph from; what it asks for is fed with noise. */
export class Inputs {
  readonly feeds = new Map<string, Tensor64>();
  /** Names of inputs that have no gradient. */
  readonly constants = new Set<string>();
  /** The dimensions by letter: names or numbers. */
  readonly d: Readonly<Record<keyof Sizes, Dim>>;
  readonly sizes: Sizes;
  readonly #random: Random;

  constructor(sizes: Sizes, named: boolean, random: Random) {
    this.sizes = sizes;
    this.d = named ? { a: "a", b: "b", m: "m", n: "n", k: "k" } : sizes;
    this.#random = random;
  }

  tensor(name: string, shape: readonly Dim[]): Value {
    this.feeds.set(
      name,
      noise(
        this.#random,
        shape.map((dim) => this.#size(dim)),
      ),
    );
    return input(name, shape);
  }

  constant(name: string, shape: readonly Dim[], at: (index: readonly number[]) => number, type?: DataType): Value {
    this.constants.add(name);
    this.feeds.set(
      name,
      tabulate(
        shape.map((dim) => this.#size(dim)),
        (index) => Math.fround(at(index)),
      ),
    );
    return input(name, shape, type);
  }

  #size(dim: Dim): number {
    return typeof dim === "number" ? dim : this.sizes[dim as keyof Sizes];
  }
}

export type Build = (inputs: Inputs) => Value;
type Cases = Readonly<Record<string, Build>>;

const BOTH = [false, true];

/** Every transA × transB × alpha of a product of matrices under the leading dimensions `stack`. */
function products(
  stack: (d: Inputs["d"]) => Dim[],
  build: (a: Value, b: Value, options: { transA: boolean; transB: boolean; alpha?: number }, inputs: Inputs) => Value,
): Cases {
  const cases: Record<string, Build> = {};
  for (const transA of BOTH) {
    for (const transB of BOTH) {
      for (const alpha of [undefined, 0.7]) {
        cases[`transA ${transA}, transB ${transB}, alpha ${alpha ?? "absent"}`] = (inputs) => {
          const { m, n, k } = inputs.d;
          const a = inputs.tensor("a", [...stack(inputs.d), ...(transA ? [k, m] : [m, k])]);
          const b = inputs.tensor("b", [...stack(inputs.d), ...(transB ? [n, k] : [k, n])]);
          return build(a, b, { transA, transB, ...(alpha !== undefined && { alpha }) }, inputs);
        };
      }
    }
  }
  return cases;
}

/** The ways in which two shapes broadcast. */
function broadcasts(operator: (a: Value, b: Value) => Value): Cases {
  const pair = (left: (d: Inputs["d"]) => Dim[], right: (d: Inputs["d"]) => Dim[]): Build => {
    return (inputs) => operator(inputs.tensor("x", left(inputs.d)), inputs.tensor("y", right(inputs.d)));
  };
  return {
    "equal shapes": pair(
      ({ m, n }) => [m, n],
      ({ m, n }) => [m, n],
    ),
    "a row on the right": pair(
      ({ m, n }) => [m, n],
      ({ n }) => [n],
    ),
    "a row on the left": pair(
      ({ n }) => [n],
      ({ m, n }) => [m, n],
    ),
    "a column on the right": pair(
      ({ m, n }) => [m, n],
      ({ m }) => [m, 1],
    ),
    "a column and a row": pair(
      ({ m }) => [m, 1],
      ({ n }) => [1, n],
    ),
    "one number": pair(
      ({ m, n }) => [m, n],
      () => [1],
    ),
    "a mask over a stack": pair(
      ({ a, b, m, n }) => [a, b, m, n],
      ({ m, n }) => [m, n],
    ),
    "a mask per sequence": pair(
      ({ a, b, m, n }) => [a, b, m, n],
      ({ a, m, n }) => [a, 1, m, n],
    ),
    "both within a stack": pair(
      ({ a, m, n }) => [a, 1, m, n],
      ({ b, n }) => [b, 1, n],
    ),
    "a value with itself": (inputs) => {
      const x = inputs.tensor("x", [inputs.d.m, inputs.d.n]);
      return operator(x, x);
    },
  };
}

/** One argument, of any rank. */
function unary(operator: (x: Value) => Value): Cases {
  return {
    row: (inputs) => operator(inputs.tensor("x", [inputs.d.n])),
    matrix: (inputs) => operator(inputs.tensor("x", [inputs.d.m, inputs.d.n])),
    stack: (inputs) => operator(inputs.tensor("x", [inputs.d.a, inputs.d.b, inputs.d.m, inputs.d.n])),
  };
}

function ropes(inverse: boolean | undefined): Build {
  return (inputs) => {
    const { a, m } = inputs.d;
    const [heads, half] = [inputs.sizes.b, inputs.sizes.n];
    const table = [7, half];
    const angle = ([position, i]: readonly number[]) => position! * 0.9 ** i!;
    const x = inputs.tensor("x", [a, m, heads * half * 2]);
    const positions = inputs.constant("positions", [a, m], ([i, j]) => (3 * i! + 2 * j!) % 7, "int64");
    const cos = inputs.constant("cos", table, (index) => Math.cos(angle(index)));
    const sin = inputs.constant("sin", table, (index) => Math.sin(angle(index)));
    return operators.rope(x, positions, cos, sin, inverse);
  };
}

function norms(epsilon: number): Cases {
  const norm = (lead: (d: Inputs["d"]) => Dim[]): Build => {
    return (inputs) =>
      operators.rmsNorm(
        inputs.tensor("x", [...lead(inputs.d), inputs.sizes.n]),
        inputs.tensor("gain", [inputs.sizes.n]),
        epsilon,
      );
  };
  return {
    [`matrix, epsilon ${epsilon}`]: norm(({ m }) => [m]),
    [`stack, epsilon ${epsilon}`]: norm(({ a, m }) => [a, m]),
  };
}

const withPrefix = (prefix: string, cases: Cases): Cases =>
  Object.fromEntries(Object.entries(cases).map(([name, build]) => [`${prefix}, ${name}`, build]));

/** Graphs that end in each of the exported operators, in all the ways in which it can be asked for. */
export const CASES: Readonly<Record<keyof typeof operators, Cases>> = {
  gemm: {
    ...withPrefix(
      "alone",
      products(
        () => [],
        (a, b, options) => operators.gemm(a, b, options),
      ),
    ),
    ...withPrefix(
      "plus c",
      products(
        () => [],
        (a, b, options, inputs) =>
          operators.gemm(a, b, { ...options, c: inputs.tensor("c", [inputs.d.m, inputs.d.n]) }),
      ),
    ),
    ...withPrefix(
      "plus a bias",
      products(
        () => [],
        (a, b, options, inputs) => operators.gemm(a, b, { ...options, c: inputs.tensor("c", [inputs.d.n]) }),
      ),
    ),
    "plus a column": (inputs) => {
      const { m, n, k } = inputs.d;
      const c = inputs.tensor("c", [m, 1]);
      return operators.gemm(inputs.tensor("a", [m, k]), inputs.tensor("b", [k, n]), { c });
    },
    "by default": (inputs) =>
      operators.gemm(inputs.tensor("a", [inputs.d.m, inputs.d.k]), inputs.tensor("b", [inputs.d.k, inputs.d.n])),
    "of a matrix with itself": (inputs) => {
      const x = inputs.tensor("x", [inputs.d.m, inputs.d.k]);
      return operators.gemm(x, x, { transB: true });
    },
  },
  matmul: {
    ...withPrefix(
      "matrices",
      products(() => [], operators.matmul),
    ),
    ...withPrefix(
      "stack",
      products(({ a }) => [a], operators.matmul),
    ),
    ...withPrefix(
      "stack of stacks",
      products(({ a, b }) => [a, b], operators.matmul),
    ),
    "by default": (inputs) =>
      operators.matmul(inputs.tensor("a", [inputs.d.m, inputs.d.k]), inputs.tensor("b", [inputs.d.k, inputs.d.n])),
  },
  add: broadcasts(operators.add),
  mul: broadcasts(operators.mul),
  sub: broadcasts(operators.sub),
  scale: {
    ...withPrefix(
      "by -1",
      unary((x) => operators.scale(x, -1)),
    ),
    ...withPrefix(
      "by 0.3",
      unary((x) => operators.scale(x, 0.3)),
    ),
  },
  sigmoid: unary(operators.sigmoid),
  slice: Object.fromEntries(
    (["first", "last"] as const).map((which): [string, Build] => [
      which,
      (inputs) => {
        const { a, m, n } = inputs.d;
        const parts = [inputs.tensor("x", [a, m]), inputs.tensor("y", [a, n])];
        const both = typeof m === "string" ? "both" : inputs.sizes.m + inputs.sizes.n;
        return operators.slice(operators.concat(parts, 1, both), 1, which, which === "first" ? m : n);
      },
    ]),
  ),
  silu: unary(operators.silu),
  geluTanh: unary(operators.geluTanh),
  shift: unary((x) => operators.shift(x, 0.7)),
  softmax: unary(operators.softmax),
  logSoftmax: unary(operators.logSoftmax),
  reshape: {
    "rows into sequences": (inputs) => {
      const { a, m } = inputs.d;
      const rows = operators.reshape(inputs.tensor("x", [a, m, 6]), ["rows", 6]);
      return operators.reshape(operators.scale(rows, 2), [a, m, 3, 2]);
    },
    "all dimensions known": (inputs) => operators.reshape(inputs.tensor("x", [4, 6]), [2, 2, 3, 2]),
    "two dimensions into one": (inputs) => operators.reshape(inputs.tensor("x", [inputs.d.m, inputs.d.n]), ["rows"]),
    "a new dimension of 1": (inputs) =>
      operators.reshape(inputs.tensor("x", [inputs.d.m, inputs.d.n]), [inputs.d.m, 1, inputs.d.n]),
  },
  transpose: Object.fromEntries(
    [[0], [1, 0], [0, 1], [1, 2, 0], [2, 0, 1], [0, 2, 1, 3], [3, 1, 0, 2], [0, 2, 3, 1, 4]].map((perm) => [
      `[${perm}]`,
      (inputs: Inputs) => {
        const { a, b, m, n, k } = inputs.d;
        return operators.transpose(inputs.tensor("x", [a, b, m, n, k].slice(0, perm.length)), perm);
      },
    ]),
  ),
  concat: {
    "two along the third": (inputs) => {
      const { a, b, m, n } = inputs.d;
      const parts = [inputs.tensor("x", [a, b, m, 3]), inputs.tensor("y", [a, b, n, 3])];
      return operators.concat(parts, 2, "joined");
    },
    "three along the first": (inputs) => {
      const { m, n } = inputs.d;
      const parts = ["x", "y", "z"].map((name, i) => inputs.tensor(name, [i + 1, m, n]));
      return operators.concat(parts, 0, 6);
    },
    "an empty cache": (inputs) => {
      const { a, m } = inputs.d;
      return operators.concat([inputs.tensor("x", [a, 0, 3]), inputs.tensor("y", [a, m, 3])], 1, m);
    },
  },
  reduceSum: Object.fromEntries(
    [[0], [2], [0, 1], [1, 3], [0, 1, 2, 3]].map((axes) => [
      `over [${axes}]`,
      (inputs: Inputs) => {
        const { a, b, m, n } = inputs.d;
        return operators.reduceSum(inputs.tensor("x", [a, b, m, n]), axes);
      },
    ]),
  ),
  rmsNorm: { ...norms(1e-5), ...norms(0.1) },
  rope: { "forward by default": ropes(undefined), forward: ropes(false), inverse: ropes(true) },
};

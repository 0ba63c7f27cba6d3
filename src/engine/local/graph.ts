/** @file Builds graphs in TypeScript and differentiates them in reverse mode. */
import { type Attribute, type ElementType, encodeModel, type OnnxConstant, type OnnxNode } from "./onnx.ts";

/** A size: a number, or the name of a dimension that is bound when the graph runs. */
export type Dim = number | string;

type Attributes = Readonly<Record<string, Attribute>>;

/** A tensor inside a graph. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Dim[];
}

/** Inputs whose value is a shape; whoever runs the graph fills them in from the bound dimensions. */
export const SHAPE_PREFIX = "shape:";

/** A graph under construction. */
export class Graph {
  readonly nodes: OnnxNode[] = [];
  readonly inputs = new Map<string, Value>();
  readonly outputs = new Map<string, Value>();
  readonly constants = new Map<string, OnnxConstant>();
  readonly #prefix: string;

  /** @param prefix starts the names of this graph's own values, so that two graphs can share names on purpose only. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  input(name: string, shape: readonly Dim[], type: ElementType = "float32"): Value {
    const value = { name, type, shape };
    this.inputs.set(name, value);
    return value;
  }

  output(value: Value): Value {
    this.outputs.set(value.name, value);
    return value;
  }

  /** A constant of int64 numbers: axes, fixed shapes. */
  integers(...numbers: number[]): Value {
    const name = `const:${numbers.join(",")}`;
    this.constants.set(name, { name, data: BigInt64Array.from(numbers, BigInt), shape: [numbers.length] });
    return { name, type: "int64", shape: [numbers.length] };
  }

  /** The shape itself as a value: a constant where every size is a number, else an input that the runner fills in. */
  shape(shape: readonly Dim[]): Value {
    if (shape.every((dim) => typeof dim === "number")) return this.integers(...shape);
    return this.input(SHAPE_PREFIX + shape.join(","), [shape.length], "int64");
  }

  /** Appends an operator with one output of the given shape, of the type of its first input. */
  emit(
    op: string,
    inputs: readonly Value[],
    shape: readonly Dim[],
    attributes: Attributes = {},
    name = `${this.#prefix}${this.nodes.length}`,
  ): Value {
    const type = op === "ConstantOfShape" ? "float32" : inputs[0]!.type;
    const value = { name, type, shape } as const;
    this.nodes.push({ op, inputs: inputs.map((v) => v.name), outputs: [name], attributes });
    return value;
  }

  /** As `emit`, for an operator with two outputs. */
  emitTwo(
    op: string,
    inputs: readonly Value[],
    shapes: readonly [readonly Dim[], readonly Dim[]],
    attributes: Attributes,
  ): [Value, Value] {
    const first = this.emit(op, inputs, shapes[0], attributes);
    const second = { ...first, name: `${first.name}.second`, shape: shapes[1] };
    const node = this.nodes.pop()!;
    this.nodes.push({ ...node, outputs: [first.name, second.name] });
    return [first, second];
  }

  encode(): Uint8Array {
    return encodeModel({
      nodes: this.nodes,
      constants: [...this.constants.values()],
      inputs: [...this.inputs.values()],
      outputs: [...this.outputs.values()],
    });
  }
}

/** Says how the gradient of an operator's output reaches its inputs. */
type GradientRule = (back: Backward, gradient: Value) => void;

/** A graph that remembers how to differentiate what it computes. */
export class Tape extends Graph {
  readonly #rules: { readonly output: Value; readonly rule: GradientRule }[] = [];
  readonly #differentiable = new Set<string>();

  constructor() {
    super("f");
  }

  /** An input whose gradient is wanted. */
  parameter(name: string, shape: readonly Dim[]): Value {
    this.#differentiable.add(name);
    return this.input(name, shape);
  }

  wants(value: Value): boolean {
    return this.#differentiable.has(value.name);
  }

  /** Records that `output` was computed from `inputs`; the rule is kept only if a parameter stands behind one of them. */
  record(inputs: readonly Value[], output: Value, rule: GradientRule): Value {
    if (inputs.some((input) => this.wants(input))) {
      this.#differentiable.add(output.name);
      this.#rules.push({ output, rule });
    }
    return output;
  }

  /**
   * The vector–Jacobian product of `output`: a graph that takes the gradient with respect to `output` (an input named
   * `gradient`) and gives that of every parameter (outputs named as `gradientName` says). Values of this graph that it
   * needs become outputs here and inputs there, so that any loss can run between the two.
   */
  vjp(output: Value): Graph {
    const back = new Backward(this);
    back.add(output, back.graph.input("gradient", output.shape));
    for (const { output: value, rule } of this.#rules.toReversed()) {
      const gradient = back.gradient(value);
      if (gradient) rule(back, gradient);
    }
    back.finish();
    return back.graph;
  }
}

/** The name of a parameter's gradient among the outputs of a vector–Jacobian graph. */
export function gradientName(parameter: string): string {
  return `d:${parameter}`;
}

/** The backward graph under construction: gradients so far, by the forward value they belong to. */
export class Backward {
  readonly graph = new Graph("b");
  readonly #tape: Tape;
  readonly #gradients = new Map<string, Value>();

  constructor(tape: Tape) {
    this.#tape = tape;
  }

  wants(value: Value): boolean {
    return this.#tape.wants(value);
  }

  gradient(value: Value): Value | undefined {
    return this.#gradients.get(value.name);
  }

  /** Makes a forward value available here. */
  use(value: Value): Value {
    if (!this.#tape.inputs.has(value.name)) this.#tape.output(value);
    return this.graph.input(value.name, value.shape, value.type);
  }

  /** Adds a contribution to the gradient of a forward value. */
  add(value: Value, gradient: Value): void {
    const sum = this.gradient(value);
    const total = sum ? this.graph.emit("Add", [sum, gradient], value.shape) : gradient;
    this.#gradients.set(value.name, total);
  }

  /** Adds alpha · op(a) · op(b), letting the matrix product itself do the addition. */
  addProduct(value: Value, a: Value, b: Value, attributes: Attributes = {}): void {
    const sum = this.gradient(value);
    const inputs = sum ? [a, b, sum] : [a, b];
    this.#gradients.set(value.name, this.graph.emit("Gemm", inputs, value.shape, attributes));
  }

  /** Names the gradients of the parameters. */
  finish(): void {
    for (const parameter of this.#tape.inputs.values()) {
      const gradient = this.wants(parameter) && this.gradient(parameter);
      if (!gradient) continue;
      this.graph.output(this.graph.emit("Identity", [gradient], parameter.shape, {}, gradientName(parameter.name)));
    }
  }
}

/** A dimension: a number, or the name of one that is known only when the graph runs (`"tokens"`). */
export type Dim = number | string;

export type DataType = "float32" | "int64";

/** What an operator writes its ONNX nodes through. */
export interface Emitter {
  /** Adds a node and returns the name of its one output. */
  node(type: string, inputs: readonly string[], attributes?: Attributes, domain?: string): string;
  /** The name of a constant int64 vector. */
  integers(values: readonly number[]): string;
  /** The name of a constant float32 scalar. */
  scalar(value: number): string;
  /** The name of an int64 vector holding `shape`, whose named dimensions are known when the graph runs. */
  shape(shape: readonly Dim[]): string;
  /** The name of an int64 vector holding one size; a named dimension must be one that is fed. */
  size(dim: Dim): string;
}

export type Attributes = Readonly<Record<string, number | readonly number[]>>;

/** One kind of node: how ONNX spells it, and its reverse-mode rule. */
export interface Operator {
  readonly name: string;
  /** Whether the backward pass takes its results over from the forward pass; others are computed again there. */
  readonly isResidual: boolean;
  emit(emitter: Emitter, value: Value, inputs: readonly string[]): string;
  /**
   * Per input, the gradient of the loss with respect to it, given `dy`, the gradient with respect to the value; `null`
   * for an input that has none. Each is computed only when asked for. Absent: the operator serves gradients only.
   */
  gradient?(value: Value, dy: Value): readonly ((() => Value) | null)[];
}

/** A node of the graph: immutable, its inputs below it. A graph is whatever its outputs reach. */
export interface Value {
  /** `null` for an input of the graph. */
  readonly operator: Operator | null;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
  readonly shape: readonly Dim[];
  readonly type: DataType;
  /** Inputs only: the name under which it is fed. */
  readonly name?: string;
}

/** An input of the graph, fed under its name. */
export function input(name: string, shape: readonly Dim[], type: DataType = "float32"): Value {
  return { operator: null, inputs: [], attributes: {}, shape, type, name };
}

/** All values that `outputs` depend on, themselves included, inputs before what uses them. `stop` values are not entered. */
export function topological(outputs: readonly Value[], stop: ReadonlySet<Value> = new Set()): Value[] {
  const order: Value[] = [];
  const seen = new Set<Value>();
  for (const output of outputs) {
    const stack: { value: Value; next: number }[] = [{ value: output, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.next === 0 && seen.has(top.value)) stack.pop();
      else {
        seen.add(top.value);
        const below = stop.has(top.value) ? undefined : top.value.inputs[top.next];
        if (below) {
          top.next++;
          if (!seen.has(below)) stack.push({ value: below, next: 0 });
        } else {
          order.push(top.value);
          stack.pop();
        }
      }
    }
  }
  return order;
}

import {
  writeBytes as bytes,
  writeFloat as float,
  writeInteger as integer,
  writeMessage as message,
  writeText as text,
} from "../../common/protobuf.ts";
import type { Attributes, DataType, Dim, Emitter, Value } from "./value.ts";
import { topological } from "./value.ts";

/** A graph as an ONNX model. */
export interface Compiled {
  readonly bytes: Uint8Array;
  /** Names to feed, the values of named dimensions among them: `dim.batch`, an int64 vector of one number. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

const OPSETS = [
  ["", 21],
  ["com.microsoft", 1],
] as const;
const IR_VERSION = 10;
const ELEMENT = { float32: 1, int64: 7 } as const;

/** The input that carries the value of a named dimension. */
export const dimensionInput = (dim: string) => `dim.${dim}`;

/**
 * Writes the graph that computes `outputs` as an ONNX model. Values in `given` become inputs under their names there,
 * whatever computes them.
 *
 * A reshape may name any of `dimensions`, which are fed, and one more, which follows from the number of elements.
 */
export function compile(
  outputs: ReadonlyMap<string, Value>,
  given: ReadonlyMap<Value, string>,
  dimensions: readonly string[],
): Compiled {
  const nodes: Uint8Array[] = [];
  const constants = new Map<string, Uint8Array>();
  const inputs = new Map<string, Uint8Array>();
  const shapes = new Map<string, string>();
  let count = 0;

  const constant = (name: string, bytes: () => Uint8Array) => {
    if (!constants.has(name)) constants.set(name, bytes());
    return name;
  };
  const dimension = (dim: string) => {
    const name = dimensionInput(dim);
    inputs.set(name, valueInfo(name, "int64", [1]));
    return name;
  };
  const emitter: Emitter = {
    node(type, from, attributes = {}, domain = "") {
      const name = `v${count++}`;
      nodes.push(node(type, from, name, attributes, domain));
      return name;
    },
    integers: (values) => constant(`i[${values}]`, () => integerTensor(`i[${values}]`, values)),
    scalar: (value) => constant(`s[${value}]`, () => scalarTensor(`s[${value}]`, value)),
    size: (dim) => (typeof dim === "string" ? dimension(dim) : emitter.integers([dim])),
    shape(shape) {
      const sizes = shape.map((dim) => (typeof dim === "string" && !dimensions.includes(dim) ? -1 : dim));
      const free = sizes.findIndex((dim) => typeof dim === "string");
      if (!sizes.includes(-1) && free >= 0) sizes[free] = -1;
      const key = sizes.join();
      let name = shapes.get(key);
      if (name === undefined) {
        name = sizes.every((dim) => typeof dim === "number")
          ? emitter.integers(sizes)
          : emitter.node(
              "Concat",
              sizes.map((dim) => emitter.size(dim)),
              { axis: 0 },
            );
        shapes.set(key, name);
      }
      return name;
    },
  };

  const names = new Map<Value, string>();
  for (const value of topological([...outputs.values()], new Set(given.keys()))) {
    const name = given.get(value) ?? value.name;
    if (name !== undefined) {
      inputs.set(name, valueInfo(name, value.type, value.shape));
      names.set(value, name);
    } else {
      const from = value.inputs.map((below) => names.get(below)!);
      names.set(value, value.operator!.emit(emitter, value, from));
    }
  }
  const results: Uint8Array[] = [];
  for (const [name, value] of outputs) {
    nodes.push(node("Identity", [names.get(value)!], name, {}, ""));
    results.push(valueInfo(name, value.type, value.shape));
  }
  return {
    bytes: model(nodes, [...constants.values()], [...inputs.values()], results),
    inputs: [...inputs.keys()],
    outputs: [...outputs.keys()],
  };
}

// Field numbers as in onnx.proto -------------------------------------------------------------------------------------

/** ModelProto */
function model(nodes: Uint8Array[], constants: Uint8Array[], inputs: Uint8Array[], outputs: Uint8Array[]): Uint8Array {
  const graph = message((w) => {
    for (const each of nodes) bytes(w, 1, each);
    text(w, 2, "klamp");
    for (const each of constants) bytes(w, 5, each);
    for (const each of inputs) bytes(w, 11, each);
    for (const each of outputs) bytes(w, 12, each);
  });
  return message((w) => {
    integer(w, 1, IR_VERSION);
    text(w, 2, "klamp");
    bytes(w, 7, graph);
    for (const [domain, version] of OPSETS) {
      const opset = message((o) => {
        text(o, 1, domain);
        integer(o, 2, version);
      });
      bytes(w, 8, opset);
    }
  });
}

/** NodeProto */
function node(
  type: string,
  inputs: readonly string[],
  output: string,
  attributes: Attributes,
  domain: string,
): Uint8Array {
  return message((w) => {
    for (const each of inputs) text(w, 1, each);
    text(w, 2, output);
    text(w, 3, output);
    text(w, 4, type);
    for (const [name, value] of Object.entries(attributes)) bytes(w, 5, attribute(name, value));
    text(w, 7, domain);
  });
}

/** ONNX types its attributes; among ours only these hold real numbers. */
const REAL_ATTRIBUTES = new Set(["alpha", "epsilon"]);

/** AttributeProto */
function attribute(name: string, value: number | readonly number[]): Uint8Array {
  return message((w) => {
    text(w, 1, name);
    if (typeof value !== "number") {
      for (const each of value) integer(w, 8, each);
      integer(w, 20, 7);
    } else if (REAL_ATTRIBUTES.has(name)) {
      float(w, 2, value);
      integer(w, 20, 1);
    } else {
      integer(w, 3, value);
      integer(w, 20, 2);
    }
  });
}

/** ValueInfoProto */
function valueInfo(name: string, type: DataType, shape: readonly Dim[]): Uint8Array {
  const dims = message((w) => {
    for (const dim of shape) {
      const size = message((d) => (typeof dim === "number" ? integer(d, 1, dim) : text(d, 2, dim)));
      bytes(w, 1, size);
    }
  });
  const tensorType = message((w) => {
    integer(w, 1, ELEMENT[type]);
    bytes(w, 2, dims);
  });
  return message((w) => {
    text(w, 1, name);
    bytes(
      w,
      2,
      message((t) => bytes(t, 1, tensorType)),
    );
  });
}

/** TensorProto */
function integerTensor(name: string, values: readonly number[]): Uint8Array {
  return message((w) => {
    integer(w, 1, values.length);
    integer(w, 2, ELEMENT.int64);
    for (const value of values) integer(w, 7, value);
    text(w, 8, name);
  });
}

/** TensorProto */
function scalarTensor(name: string, value: number): Uint8Array {
  return message((w) => {
    integer(w, 2, ELEMENT.float32);
    float(w, 4, value);
    text(w, 8, name);
  });
}

/** @file Writes ONNX's protobuf: only the messages and fields that a generated graph needs (onnx.proto, IR version 10). */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export type ElementType = "float32" | "int64";
/** A whole number is an ONNX INT, `{ float }` a FLOAT, a list INTS, a text a STRING. */
export type Attribute = number | { readonly float: number } | readonly number[] | string;

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxConstant {
  readonly name: string;
  readonly data: Float32Array | BigInt64Array;
  readonly shape: readonly number[];
}

export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  /** Numbers, or names of dimensions that are known when the graph runs. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxConstant[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** Operators that ONNX Runtime adds to the standard ones, and the domain where it keeps them. */
const CONTRIBUTED = new Set(["FusedMatMul", "RotaryEmbedding", "QuickGelu"]);
const ELEMENT_CODE = { float32: 1, int64: 7 } as const;

/** Encodes a graph as a ModelProto that ONNX Runtime opens. */
export function encodeModel(graph: OnnxGraph): Uint8Array {
  const model = new BinaryWriter();
  model.tag(1, WireType.Varint).int64(10);
  message(model, 7, (w) => writeGraph(w, graph));
  message(model, 8, (w) => w.tag(1, WireType.LengthDelimited).string("").tag(2, WireType.Varint).int64(18));
  message(model, 8, (w) => w.tag(1, WireType.LengthDelimited).string("com.microsoft").tag(2, WireType.Varint).int64(1));
  return model.finish();
}

function writeGraph(w: BinaryWriter, graph: OnnxGraph): void {
  for (const node of graph.nodes) message(w, 1, (n) => writeNode(n, node));
  text(w, 2, "klamp");
  for (const constant of graph.constants) message(w, 5, (t) => writeTensor(t, constant));
  for (const input of graph.inputs) message(w, 11, (v) => writeValue(v, input));
  for (const output of graph.outputs) message(w, 12, (v) => writeValue(v, output));
}

function writeNode(w: BinaryWriter, node: OnnxNode): void {
  for (const input of node.inputs) text(w, 1, input);
  for (const output of node.outputs) text(w, 2, output);
  text(w, 3, node.outputs.find((name) => name !== "") ?? "");
  text(w, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) message(w, 5, (a) => writeAttribute(a, name, value));
  if (CONTRIBUTED.has(node.op)) text(w, 7, "com.microsoft");
}

function writeAttribute(w: BinaryWriter, name: string, value: Attribute): void {
  text(w, 1, name);
  if (typeof value === "number") {
    w.tag(3, WireType.Varint).int64(value).tag(20, WireType.Varint).int32(2);
  } else if (typeof value === "string") {
    text(w, 4, value);
    w.tag(20, WireType.Varint).int32(3);
  } else if ("float" in value) {
    w.tag(2, WireType.Bit32).float(value.float).tag(20, WireType.Varint).int32(1);
  } else {
    for (const item of value) w.tag(8, WireType.Varint).int64(item);
    w.tag(20, WireType.Varint).int32(7);
  }
}

function writeTensor(w: BinaryWriter, { name, data, shape }: OnnxConstant): void {
  for (const dim of shape) w.tag(1, WireType.Varint).int64(dim);
  w.tag(2, WireType.Varint).int32(ELEMENT_CODE[data instanceof Float32Array ? "float32" : "int64"]);
  text(w, 8, name);
  w.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeValue(w: BinaryWriter, { name, type, shape }: OnnxValue): void {
  text(w, 1, name);
  message(w, 2, (t) =>
    message(t, 1, (tensor) => {
      tensor.tag(1, WireType.Varint).int32(ELEMENT_CODE[type]);
      message(tensor, 2, (s) => {
        for (const dim of shape) {
          message(s, 1, (d) => (typeof dim === "number" ? d.tag(1, WireType.Varint).int64(dim) : text(d, 2, dim)));
        }
      });
    }),
  );
}

function text(w: BinaryWriter, field: number, value: string): void {
  w.tag(field, WireType.LengthDelimited).string(value);
}

function message(w: BinaryWriter, field: number, write: (w: BinaryWriter) => unknown): void {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  w.join();
}

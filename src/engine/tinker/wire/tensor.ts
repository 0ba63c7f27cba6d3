import { UserError } from "../../../common/errors.ts";
import { writeBytes, writeInteger, writeIntegers, writeMessage } from "../../../common/protobuf.ts";
import type { IntTensor } from "../../../divergence/tensor.ts";
import { formatShape, type Tensor } from "../../../divergence/tensor.ts";
import { Message } from "./message.ts";

/** Float32 numbers, or integers (int64 on the wire, int32 here: token ids and positions are small). */
export type WireTensor = Tensor | IntTensor;

/** Numbers of a protobuf `DType`. */
const FLOAT32 = 1;
const INT64 = 2;
const INT32 = 3;
const BFLOAT16 = 4;

/** A sparse tensor may claim any size in a few bytes; this many cells are taken. */
const MOST_CELLS = 1 << 27;

/** The bytes of an array. Tinker's wire is little-endian, as is every machine that Node runs klamp on. */
export function bytesOf(array: Float32Array | Int32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A fresh buffer: what a reader hands out is a view at any offset, which typed arrays cannot start at. */
function copied(bytes: Uint8Array, itemSize: number): ArrayBuffer {
  if (bytes.length % itemSize !== 0)
    throw new UserError(`${bytes.length} bytes do not hold whole numbers of ${itemSize} bytes`);
  return new Uint8Array(bytes).buffer;
}

export const floats = (bytes: Uint8Array) => new Float32Array(copied(bytes, 4));
export const integers = (bytes: Uint8Array) => new Int32Array(copied(bytes, 4));
export const longs = (bytes: Uint8Array) =>
  Int32Array.from(new BigInt64Array(copied(bytes, 8)), (long) => {
    if (BigInt.asIntN(32, long) !== long)
      throw new UserError(`the tensor holds ${long}, expected token ids or positions below 2^31`);
    return Number(long);
  });

/** Ids go as int64 and numbers as float32, the two types that requests use. */
export function dtypeOf({ data }: WireTensor): number {
  return data instanceof Float32Array ? FLOAT32 : INT64;
}

export function encodeNumbers({ data }: WireTensor): Uint8Array {
  return bytesOf(data instanceof Float32Array ? data : BigInt64Array.from(data, BigInt));
}

export function decodeNumbers(bytes: Uint8Array, dtype: number): Float32Array | Int32Array {
  if (dtype === FLOAT32) return floats(bytes);
  if (dtype === INT64) return longs(bytes);
  if (dtype === INT32) return integers(bytes);
  // A bfloat16 is the upper half of a float32.
  if (dtype === BFLOAT16)
    return new Float32Array(Uint32Array.from(new Uint16Array(copied(bytes, 2)), (half) => half << 16).buffer);
  throw new UserError(`the tensor has the unknown dtype ${dtype}, expected float32, int64, int32 or bfloat16`);
}

export const itemSize = (dtype: number): number => ({ [INT64]: 8, [BFLOAT16]: 2 })[dtype] ?? 4;

/** Gives the data its shape, or says that it does not fit. */
export function shaped(data: Float32Array | Int32Array, shape: readonly number[]): WireTensor {
  const size = shape.reduce((product, n) => product * n, 1);
  if (size !== data.length)
    throw new UserError(`a tensor of shape ${formatShape(shape)} holds ${size} numbers, found ${data.length}`);
  return data instanceof Float32Array ? { data, shape } : { data, shape };
}

/** `Tensor`: dense. */
export function encodeTensor(tensor: WireTensor): Uint8Array {
  return writeMessage((writer) => {
    writeBytes(writer, 1, encodeNumbers(tensor));
    writeInteger(writer, 3, dtypeOf(tensor));
    writeIntegers(writer, 4, tensor.shape);
  });
}

/** `Tensor`: dense or sparse rows. A tensor without a shape has one axis. */
export function decodeTensor(bytes: Uint8Array): WireTensor {
  const message = new Message(bytes);
  const dtype = message.number(3);
  const shape = message.integers(4);
  if (message.has(2)) return decodeSparse(new Message(message.bytes(2)), dtype, shape);
  const data = decodeNumbers(message.bytes(1), dtype);
  return shaped(data, shape.length > 0 ? shape : [data.length]);
}

/**
 * `SparseCsr`, compressed sparse rows: row i holds `values[crow[i]..crow[i+1]]` at the columns `col[..]`; other cells are 0.
 * Tinker's own client sends the weights of a custom loss this way whenever that is shorter.
 */
function decodeSparse(message: Message, dtype: number, shape: readonly number[]): WireTensor {
  const values = decodeNumbers(message.bytes(1), dtype);
  const starts = longs(message.bytes(2));
  const columns = longs(message.bytes(3));
  const [rows = 0, width = 0] = shape;
  if (shape.length !== 2 || rows < 0 || width < 0 || rows * width > MOST_CELLS) {
    throw new UserError(
      `a sparse tensor has shape ${formatShape(shape)}, expected [rows, columns] of at most ${MOST_CELLS} cells`,
    );
  }
  if (
    starts.length !== rows + 1 ||
    starts[0] !== 0 ||
    starts[rows] !== values.length ||
    columns.length !== values.length
  ) {
    throw new UserError(
      `a sparse tensor of ${rows} rows has ${starts.length} row starts, ${columns.length} columns and ${values.length} values that do not fit together`,
    );
  }
  const cells = values instanceof Float32Array ? new Float32Array(rows * width) : new Int32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    if (starts[row + 1]! < starts[row]!) throw new UserError(`row ${row} of a sparse tensor ends before it starts`);
    for (let k = starts[row]!; k < starts[row + 1]!; k++) {
      const column = columns[k]!;
      if (column < 0 || column >= width)
        throw new UserError(`row ${row} of a sparse tensor names column ${column} of ${width}`);
      cells[row * width + column] = values[k]!;
    }
  }
  return shaped(cells, shape);
}

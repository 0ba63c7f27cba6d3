import { UserError } from "../../../common/errors.ts";
import {
  writeBytes,
  writeDouble,
  writeInteger,
  writeIntegers,
  writeMap,
  writeMessage,
  writeText,
} from "../../../common/protobuf.ts";
import { Message } from "./message.ts";
import {
  bytesOf,
  decodeNumbers,
  decodeTensor,
  dtypeOf,
  encodeNumbers,
  encodeTensor,
  integers,
  itemSize,
  longs,
  shaped,
  type WireTensor,
} from "./tensor.ts";

/** One example on the wire: N tokens, and loss inputs with an entry ([N]) or a row of K entries ([N, K]) for each. */
export interface WireDatum {
  readonly tokens: Int32Array;
  readonly lossInputs: Readonly<Record<string, WireTensor>>;
}

export interface ForwardBackwardRequest {
  readonly model_id: string;
  readonly seq_id: number;
  readonly data: readonly WireDatum[];
  readonly loss_fn: string;
  readonly loss_fn_config: Readonly<Record<string, number>>;
  readonly forward_only: boolean;
}

export interface ForwardBackwardOutput {
  /** Named tensors of each datum, in the order of the request. */
  readonly outputs: readonly Readonly<Record<string, WireTensor>>[];
  readonly metrics: Readonly<Record<string, number>>;
}

export function encodeForwardBackwardRequest(request: ForwardBackwardRequest): Uint8Array<ArrayBuffer> {
  return writeMessage((writer) => {
    writeText(writer, 1, request.model_id);
    writeInteger(writer, 2, request.seq_id);
    for (const datum of request.data) writeBytes(writer, 3, encodeDatum(datum));
    writeText(writer, 4, request.loss_fn);
    writeMap(writer, 5, request.loss_fn_config, writeDouble);
    if (request.forward_only) writeInteger(writer, 6, 1);
  });
}

/** Only the model and the number: enough to queue a request whose content may turn out to be invalid. */
export function peekForwardBackwardRequest(bytes: Uint8Array): Pick<ForwardBackwardRequest, "model_id" | "seq_id"> {
  const message = new Message(bytes);
  return { model_id: message.text(1), seq_id: message.number(2) };
}

export function decodeForwardBackwardRequest(bytes: Uint8Array): ForwardBackwardRequest {
  const message = new Message(bytes);
  return {
    model_id: message.text(1),
    seq_id: message.number(2),
    data: message.every(3).map(decodeDatum),
    loss_fn: message.text(4),
    loss_fn_config: message.map(5, (entry) => entry.number(2)),
    forward_only: message.number(6) !== 0,
  };
}

/** `Datum`, its text in one `Chunk`. */
export function encodeDatum({ tokens, lossInputs }: WireDatum): Uint8Array {
  const text = writeMessage((writer) => writeBytes(writer, 1, bytesOf(tokens)));
  const chunk = writeMessage((writer) => writeBytes(writer, 1, text));
  return writeMessage((writer) => {
    writeBytes(writer, 1, chunk);
    writeMap(writer, 2, lossInputs, (inner, field, value) => writeBytes(inner, field, encodeTensor(value)));
  });
}

function decodeDatum(bytes: Uint8Array): WireDatum {
  const message = new Message(bytes);
  const chunks = message.every(1).map(decodeChunk);
  return {
    tokens: Int32Array.from(chunks.flatMap((tokens) => [...tokens])),
    lossInputs: message.map(2, (entry) => decodeTensor(entry.bytes(2))),
  };
}

function decodeChunk(bytes: Uint8Array): Int32Array {
  const chunk = new Message(bytes);
  if (!chunk.has(1))
    throw new UserError("a chunk holds an image or sound, expected encoded_text: the models here read text only");
  return integers(new Message(chunk.bytes(1)).bytes(1));
}

/** One `ArrayRecord` a datum: trailing shapes belong to a record, so this alone allows a different K in each datum. */
export function encodeForwardBackwardOutput({ outputs, metrics }: ForwardBackwardOutput): Uint8Array<ArrayBuffer> {
  return writeMessage((writer) => {
    writeText(writer, 1, "ArrayRecord");
    for (const output of outputs) {
      const record = writeMessage((inner) => {
        writeMap(inner, 2, output, (entry, field, value) => writeBytes(entry, field, encodeBatchOfOne(value)));
        writeInteger(inner, 3, 1);
      });
      writeBytes(writer, 2, record);
    }
    writeMap(writer, 3, metrics, writeDouble);
  });
}

/** `BatchedTensor`; its offsets count bytes. */
function encodeBatchOfOne(tensor: WireTensor): Uint8Array {
  const data = encodeNumbers(tensor);
  return writeMessage((writer) => {
    writeBytes(writer, 1, data);
    writeBytes(writer, 2, bytesOf(BigInt64Array.of(0n, BigInt(data.length))));
    writeInteger(writer, 3, dtypeOf(tensor));
    writeIntegers(writer, 4, tensor.shape.slice(1));
  });
}

export function decodeForwardBackwardOutput(bytes: Uint8Array): ForwardBackwardOutput {
  const message = new Message(bytes);
  return { outputs: message.every(2).flatMap(decodeRecord), metrics: message.map(3, (entry) => entry.number(2)) };
}

/** A record may claim any count in a few bytes; a request has far fewer data. */
const MOST_OUTPUTS = 1 << 20;

function decodeRecord(bytes: Uint8Array): Record<string, WireTensor>[] {
  const message = new Message(bytes);
  const fields = Object.entries(message.map(2, (entry) => decodeBatchedTensor(entry.bytes(2))));
  // A server may leave fields out of a record, never datums: its own count is what counts.
  const count = message.number(3) || (fields[0]?.[1].length ?? 0);
  if (!(count >= 0 && count <= MOST_OUTPUTS)) {
    throw new UserError(`a record of the answer counts ${count} outputs, expected at most ${MOST_OUTPUTS}`);
  }
  return Array.from({ length: count }, (_, i) => {
    return Object.fromEntries(fields.flatMap(([name, tensors]) => (tensors[i] ? [[name, tensors[i]]] : [])));
  });
}

function decodeBatchedTensor(bytes: Uint8Array): WireTensor[] {
  const message = new Message(bytes);
  const [data, offsets, dtype, trailing] = [
    message.bytes(1),
    longs(message.bytes(2)),
    message.number(3),
    message.integers(4),
  ];
  const rowBytes = trailing.reduce((product, n) => product * n, itemSize(dtype));
  return Array.from({ length: Math.max(0, offsets.length - 1) }, (_, i) => {
    const part = data.subarray(offsets[i], offsets[i + 1]);
    return shaped(decodeNumbers(part, dtype), [rowBytes === 0 ? 0 : part.length / rowBytes, ...trailing]);
  });
}

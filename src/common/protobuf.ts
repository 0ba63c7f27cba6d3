/** @file Writing protobuf messages field by field, by the numbers that a .proto file gives them. */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** The bytes of a message whose fields `write` writes. */
export function writeMessage(write: (writer: BinaryWriter) => void): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
}

/** `bytes`, or a message. */
export function writeBytes(writer: BinaryWriter, field: number, bytes: Uint8Array): void {
  writer.tag(field, WireType.LengthDelimited).bytes(bytes);
}

/** `string` */
export function writeText(writer: BinaryWriter, field: number, text: string): void {
  writer.tag(field, WireType.LengthDelimited).string(text);
}

/** `int32`, `int64` or an enumeration. */
export function writeInteger(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}

/** `float` */
export function writeFloat(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Bit32).float(value);
}

/** `double` */
export function writeDouble(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Bit64).double(value);
}

/** `repeated int64`, packed. */
export function writeIntegers(writer: BinaryWriter, field: number, values: readonly number[]): void {
  if (values.length === 0) return;
  writer.tag(field, WireType.LengthDelimited).fork();
  for (const value of values) writer.int64(value);
  writer.join();
}

/** `map<string, …>`: `write` writes each value in the field that it is given. */
export function writeMap<T>(
  writer: BinaryWriter,
  field: number,
  entries: Readonly<Record<string, T>>,
  write: (writer: BinaryWriter, field: number, value: T) => void,
): void {
  for (const [key, value] of Object.entries(entries)) {
    const entry = writeMessage((inner) => {
      writeText(inner, 1, key);
      write(inner, 2, value);
    });
    writeBytes(writer, field, entry);
  }
}

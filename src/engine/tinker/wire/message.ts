import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { UserError } from "../../../common/errors.ts";

/** The fields of one protobuf message by number, as its bytes hold them. Unknown ones do no harm: newer peers send more. */
export class Message {
  readonly #fields = new Map<number, (number | Uint8Array)[]>();

  constructor(bytes: Uint8Array) {
    const reader = new BinaryReader(bytes);
    try {
      while (reader.pos < reader.len) this.#readField(reader);
    } catch (cause) {
      throw broken(bytes, cause);
    }
  }

  #readField(reader: BinaryReader): void {
    const [field, type] = reader.tag();
    const value = readValue(reader, type, field);
    if (value === undefined) return;
    const values = this.#fields.get(field);
    if (values) values.push(value);
    else this.#fields.set(field, [value]);
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }

  /** The last value wins; an absent field is empty, as protobuf has it. */
  bytes(field: number): Uint8Array {
    return this.every(field).at(-1) ?? new Uint8Array();
  }

  text(field: number): string {
    return new TextDecoder().decode(this.bytes(field));
  }

  number(field: number): number {
    const value = this.#fields.get(field)?.at(-1);
    return typeof value === "number" ? value : 0;
  }

  /** `repeated` messages or bytes. */
  every(field: number): Uint8Array[] {
    return (this.#fields.get(field) ?? []).filter((value) => value instanceof Uint8Array);
  }

  /** `repeated int64`, packed or not: a parser must take both. */
  integers(field: number): number[] {
    return (this.#fields.get(field) ?? []).flatMap((value) => {
      if (typeof value === "number") return [value];
      const reader = new BinaryReader(value);
      const integers: number[] = [];
      try {
        while (reader.pos < reader.len) integers.push(Number(reader.int64()));
      } catch (cause) {
        throw broken(value, cause);
      }
      return integers;
    });
  }

  /** `map<string, …>`: entries with the key in field 1 and the value in field 2. */
  map<T>(field: number, value: (entry: Message) => T): Record<string, T> {
    const entries = this.every(field).map((bytes) => new Message(bytes));
    return Object.fromEntries(entries.map((entry) => [entry.text(1), value(entry)]));
  }
}

function broken({ length }: Uint8Array, cause: unknown): UserError {
  return new UserError(`${length} bytes are not a protobuf message of the Tinker API`, { cause });
}

/** Tinker's messages hold integers, doubles, and bytes (strings and messages are bytes too). */
function readValue(reader: BinaryReader, type: WireType, field: number): number | Uint8Array | undefined {
  if (type === WireType.Varint) return Number(reader.int64());
  if (type === WireType.Bit64) return reader.double();
  if (type === WireType.LengthDelimited) return reader.bytes();
  reader.skip(type, field);
  return undefined;
}

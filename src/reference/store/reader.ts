import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { UserError } from "../../common/errors.ts";
import { refuseIrregular, UnreadableFileError } from "../../common/text-file.ts";
import type { Datum } from "../../data/datum.ts";
import { INDEX_FILE, readAt, readEntries, shardPath } from "./files.ts";
import { readIdentity, rowFormat, type StoreIdentity } from "./identity.ts";
import { decodeEntry, ENTRY_BYTES, type IndexEntry } from "./index-entry.ts";
import { KeyTable } from "./key-table.ts";
import { decodePositions, decodeRows, type RowFormat, type StoredRows } from "./record.ts";
import { positionsOf, textKey } from "./text-key.ts";

/**
 * A reference store, open for reading. Holds a table of keys in memory and no records: a lookup reads from disk and verifies
 * checksums.
 *
 * @example
 * const store = StoreReader.open("./reference");
 * const rows = store.find(datum);
 */
export class StoreReader {
  readonly folder: string;
  readonly identity: StoreIdentity;
  /** Texts in the store, without those that an interrupted build left unfinished. */
  readonly size: number;
  readonly #index: number;
  readonly #table: KeyTable;
  readonly #shards = new Map<number, number>();

  /** @throws UserError when there is no store, or its index is damaged. */
  static open(folder: string): StoreReader {
    const identity = readIdentity(folder);
    if (!identity) {
      throw new UserError(
        `there is no reference store in ${folder}: build it with \`klamp reference build --config FILE\``,
      );
    }
    const index = openOrRefuse(join(folder, INDEX_FILE));
    try {
      const table = new KeyTable(Math.floor(fstatSync(index).size / ENTRY_BYTES));
      let number = 0;
      let size = 0;
      for (const entry of readEntries(index)) {
        if (!entry) throw damagedEntry(folder, number);
        table.add(entry.key, number++);
        if (entry.endsBlock) size = number;
      }
      return new StoreReader(folder, identity, index, table, size);
    } catch (error) {
      closeSync(index);
      throw error;
    }
  }

  private constructor(folder: string, identity: StoreIdentity, index: number, table: KeyTable, size: number) {
    this.folder = folder;
    this.identity = identity;
    this.size = size;
    this.#index = index;
    this.#table = table;
  }

  /** The rows of a datum, in its order. Undefined when the store lacks the text, or one of its positions. */
  find(datum: Datum): StoredRows | undefined {
    const positions = positionsOf(datum);
    for (const [number, entry] of this.#entriesOf(datum)) {
      const rows = decodeRows(this.read(entry, number), this.format, positions);
      if (rows) return rows;
    }
    return undefined;
  }

  /** Whether the store has all rows of a datum. */
  has(datum: Datum): boolean {
    const wanted = positionsOf(datum);
    for (const [number, entry] of this.#entriesOf(datum)) {
      const there = new Set(decodePositions(this.read(entry, number)));
      if (wanted.every((position) => there.has(position))) return true;
    }
    return false;
  }

  /** The places of all records, in the order in which they were written. */
  *entries(): Generator<IndexEntry> {
    let left = this.size;
    for (const entry of readEntries(this.#index)) {
      if (left-- === 0) return;
      yield entry!;
    }
  }

  /** @throws UserError for a record that is cut off or changed. */
  read({ shard, offset, length, checksum }: IndexEntry, number: number): Buffer {
    const bytes = readAt(this.#shard(shard), offset, length);
    const where = `${shardPath(this.folder, shard)}, record ${number} (${length} bytes from byte ${offset})`;
    if (bytes.length < length) throw damaged(where, `the file ends after ${bytes.length} of them`);
    if (crc32(bytes) !== checksum) throw damaged(where, "its checksum does not match its content");
    return bytes;
  }

  /** The format of its records. */
  get format(): RowFormat {
    return rowFormat(this.identity);
  }

  close(): void {
    for (const file of [this.#index, ...this.#shards.values()]) closeSync(file);
    this.#shards.clear();
  }

  *#entriesOf(datum: Datum): Generator<[number: number, entry: IndexEntry]> {
    const key = textKey(datum);
    for (const number of this.#table.candidates(key)) {
      if (number >= this.size) continue;
      const entry = decodeEntry(readAt(this.#index, number * ENTRY_BYTES, ENTRY_BYTES));
      if (!entry) throw damagedEntry(this.folder, number);
      if (entry.key.equals(key)) yield [number, entry];
    }
  }

  #shard(number: number): number {
    const shard = this.#shards.get(number) ?? openOrRefuse(shardPath(this.folder, number));
    this.#shards.set(number, shard);
    return shard;
  }
}

function openOrRefuse(path: string): number {
  try {
    refuseIrregular(path);
    return openSync(path, "r");
  } catch (cause) {
    const missing = ((cause as Error).cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
    const reason = cause instanceof UnreadableFileError ? cause.reason : (cause as Error).message;
    throw damaged(path, missing ? "the file is missing" : reason);
  }
}

function damagedEntry(folder: string, number: number): UserError {
  return damaged(`${join(folder, INDEX_FILE)}, entry ${number}`, "its checksum does not match its content");
}

function damaged(where: string, what: string): UserError {
  return new UserError(
    `the reference store is damaged at ${where}: ${what}; delete its folder and build it again with \`klamp reference build --config FILE\``,
  );
}

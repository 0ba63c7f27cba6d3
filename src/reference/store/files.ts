import { readdirSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { decodeEntry, ENTRY_BYTES, type IndexEntry } from "./index-entry.ts";

/** @file The files of a store: `store.json`, `index.bin`, and shards of records, `shard-00000.bin` and so on. */

export const INDEX_FILE = "index.bin";

export function shardFile(number: number): string {
  return `shard-${String(number).padStart(5, "0")}.bin`;
}

export function shardPath(folder: string, number: number): string {
  return join(folder, shardFile(number));
}

/** What all files of a store take. */
export function storeBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** Reads exactly so many bytes into memory of its own; fewer when the file ends before. */
export async function readAt(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, from + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

const ENTRIES_AT_ONCE = 16_384;

/** All whole entries of an index from the first on, a piece of the file at a time; null for one whose checksum is not right. */
export async function* readEntries(index: FileHandle): AsyncGenerator<IndexEntry | null> {
  for (let from = 0; ; from += ENTRIES_AT_ONCE * ENTRY_BYTES) {
    const piece = await readAt(index, from, ENTRIES_AT_ONCE * ENTRY_BYTES);
    for (let at = 0; at + ENTRY_BYTES <= piece.length; at += ENTRY_BYTES) {
      yield decodeEntry(piece.subarray(at, at + ENTRY_BYTES)) ?? null;
    }
    if (piece.length < ENTRIES_AT_ONCE * ENTRY_BYTES) return;
  }
}

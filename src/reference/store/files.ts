import { fstatSync, readdirSync, readSync, statSync } from "node:fs";
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

/** The size of all files of a store. */
export function storeBytes(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/**
 * Reads exactly so many bytes into memory of its own; fewer when the file ends before. Synchronous: a lookup
 * takes a few such reads, nearly always from the system's cache, where an asynchronous read costs ten times as much.
 *
 * @param file a file descriptor.
 */
export function readAt(file: number, from: number, length: number): Buffer {
  // What a damaged entry asks for may be more than there is, and than memory holds.
  const there = Math.max(0, Math.min(length, fstatSync(file).size - from));
  const bytes = Buffer.allocUnsafeSlow(there);
  let done = 0;
  while (done < there) {
    const read = readSync(file, bytes, done, Math.min(there - done, 1 << 30), from + done);
    if (read === 0) break;
    done += read;
  }
  return bytes.subarray(0, done);
}

const ENTRIES_AT_ONCE = 16_384;

/** All whole entries of an index from the first on, read in pieces; null for one with a wrong checksum. */
export function* readEntries(index: number): Generator<IndexEntry | null> {
  for (let from = 0; ; from += ENTRIES_AT_ONCE * ENTRY_BYTES) {
    const piece = readAt(index, from, ENTRIES_AT_ONCE * ENTRY_BYTES);
    for (let at = 0; at + ENTRY_BYTES <= piece.length; at += ENTRY_BYTES) {
      yield decodeEntry(piece.subarray(at, at + ENTRY_BYTES)) ?? null;
    }
    if (piece.length < ENTRIES_AT_ONCE * ENTRY_BYTES) return;
  }
}

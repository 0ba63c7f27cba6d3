import { crc32 } from "node:zlib";
import { KEY_BYTES } from "./text-key.ts";

/**
 * @file One entry of `index.bin`: where a record lies, in 40 bytes. All numbers are little-endian.
 *
 *     0 key (16)   16 shard   20 offset   24 length   28 checksum of the record   32 last of its block   36 checksum of these 36 bytes
 *
 * Records are written in blocks. The last entry of a block is marked, and only whole blocks count.
 */
export interface IndexEntry {
  /** The key of the text. */
  readonly key: Buffer;
  readonly shard: number;
  readonly offset: number;
  readonly length: number;
  /** CRC-32 of the record. */
  readonly checksum: number;
  readonly endsBlock: boolean;
}

export const ENTRY_BYTES = 40;
const NUMBERS = KEY_BYTES;
const OWN_CHECKSUM = ENTRY_BYTES - 4;

export function encodeEntry({ key, shard, offset, length, checksum, endsBlock }: IndexEntry): Buffer {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  bytes.set(key);
  for (const [i, value] of [shard, offset, length, checksum, endsBlock ? 1 : 0].entries()) {
    bytes.writeUInt32LE(value, NUMBERS + 4 * i);
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(0, OWN_CHECKSUM)), OWN_CHECKSUM);
  return bytes;
}

/** Undefined when the entry's own checksum is wrong. */
export function decodeEntry(bytes: Buffer): IndexEntry | undefined {
  if (crc32(bytes.subarray(0, OWN_CHECKSUM)) !== bytes.readUInt32LE(OWN_CHECKSUM)) return undefined;
  const [shard, offset, length, checksum, endsBlock] = [0, 1, 2, 3, 4].map((i) => bytes.readUInt32LE(NUMBERS + 4 * i));
  return {
    key: Buffer.from(bytes.subarray(0, KEY_BYTES)),
    shard: shard!,
    offset: offset!,
    length: length!,
    checksum: checksum!,
    endsBlock: endsBlock === 1,
  };
}

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { UserError } from "../../common/errors.ts";
import { refuseIrregular } from "../../common/text-file.ts";

/** Files that begin so are of a form that is not read, and what to do. */
const OTHERS: readonly (readonly [begin: readonly number[], what: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], "it is a zip archive: unpack it"],
  [[0x28, 0xb5, 0x2f, 0xfd], "it is compressed with zstd: unpack it, or compress it with gzip"],
  [[0x42, 0x5a, 0x68], "it is compressed with bzip2: unpack it, or compress it with gzip"],
  [[0xfd, 0x37, 0x7a, 0x58], "it is compressed with xz: unpack it, or compress it with gzip"],
  [[0x41, 0x52, 0x52, 0x4f], "it is an Arrow file: write it as Parquet"],
];

const GZIP = [0x1f, 0x8b];

/** The most characters of one line, or one item of a list: far more than any model reads. */
export const MOST_CHARACTERS = 1 << 26;

/** @throws UserError for a line, or an item, of more characters than are held. */
export function checkLength(characters: number, what: string, path: string, line: number): void {
  if (characters <= MOST_CHARACTERS) return;
  throw new UserError(
    `${path}:${line}: this ${what} has more than ${MOST_CHARACTERS.toLocaleString("en")} characters, which no model reads: split its text`,
  );
}

/** The first bytes of a file. @throws UserError when it cannot be read. */
export async function readHead(path: string): Promise<Uint8Array> {
  try {
    refuseIrregular(path, "it is a folder: name its files, as in FOLDER/*.jsonl");
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

export function beginsWith(bytes: Uint8Array, begin: readonly number[]): boolean {
  return begin.every((byte, i) => bytes[i] === byte);
}

/**
 * The text of a file in pieces, unpacked where it is gzip; the file itself is never held in memory.
 *
 * @throws UserError when it cannot be read, is damaged, is not UTF-8, or is packed in another way.
 */
export async function* readText(path: string, head: Uint8Array): AsyncGenerator<string> {
  const other = OTHERS.find(([begin]) => beginsWith(head, begin));
  if (other) throw new UserError(`cannot read ${path}: ${other[1]}`);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const chunk of openStream(path, beginsWith(head, GZIP))) {
      yield decoder.decode(chunk as Uint8Array, { stream: true });
    }
    yield decoder.decode();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function openStream(path: string, isGzip: boolean): Readable {
  const file = createReadStream(path);
  // An error on the way ends the last stream with it, which is where it is read.
  return isGzip ? pipeline(file, createGunzip(), () => {}) : file;
}

/** A read error as a sentence; a user's mistake that came up while reading stays as it is. */
export function unreadable(path: string, cause: unknown): unknown {
  if (cause instanceof UserError) return cause;
  return new UserError(`cannot read ${path}: ${describe(cause as NodeJS.ErrnoException)}`, { cause });
}

function describe({ code, message }: NodeJS.ErrnoException): string {
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return "it is not UTF-8 text";
  if (code === "Z_BUF_ERROR") return "the gzip file is cut off";
  if (code?.startsWith("Z_")) return `the gzip file is damaged (${message})`;
  return message;
}

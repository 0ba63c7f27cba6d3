import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { UserError } from "./errors.ts";

/** A file that cannot be read as text. `reason` says why in words that go after "cannot read FILE: ". */
export class UnreadableFileError extends UserError {
  override readonly name = "UnreadableFileError";
  readonly reason: string;

  constructor(path: string, reason: string, cause?: unknown) {
    super(`cannot read ${path}: ${reason}`, { cause });
    this.reason = reason;
  }
}

/** The most bytes of a file that is held in memory as one text: a large tokenizer.json has 40 MB. */
const MOST_BYTES = 256 << 20;

/**
 * The text of a regular file, without a byte order mark. What is none (a folder, a pipe, a device) is refused before it is
 * read, since reading it might not end.
 *
 * @param most the most bytes that it may have.
 * @throws UnreadableFileError
 */
export function readTextFile(path: string, most: number = MOST_BYTES): string {
  const bytes = readRegularFile(path, most);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UnreadableFileError(path, "it is not UTF-8 text", cause);
  }
}

/** The value in a file of JSON. @throws UserError */
export function readJsonFile(path: string): unknown {
  const text = readTextFile(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${path} is not valid JSON: ${describeJsonError(cause)}`, { cause });
  }
}

/** V8's reason, in one line: it quotes a piece of the text, which may hold line ends. */
export function describeJsonError(cause: unknown): string {
  return cause instanceof RangeError ? "it is nested too deeply" : (cause as Error).message.replaceAll("\n", "\\n");
}

/** @throws UnreadableFileError for a path at which there is no regular file. @param folder what is said of a folder. */
export function refuseIrregular(path: string, folder = "it is a folder, expected a file"): void {
  try {
    const found = statSync(path);
    if (found.isFile()) return;
    throw new UnreadableFileError(
      path,
      found.isDirectory() ? folder : "it is no regular file but a pipe, socket or device",
    );
  } catch (cause) {
    throw explained(path, cause);
  }
}

function readRegularFile(path: string, most: number): Uint8Array {
  refuseIrregular(path);
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const { size } = fstatSync(file);
    if (size > most) {
      throw new UnreadableFileError(
        path,
        `it has ${megabytes(size)} MB, more than the ${megabytes(most)} MB that are read`,
      );
    }
    const bytes = Buffer.allocUnsafeSlow(size);
    let done = 0;
    while (done < size) {
      const read = readSync(file, bytes, done, size - done, done);
      if (read === 0) break;
      done += read;
    }
    return bytes.subarray(0, done);
  } catch (cause) {
    throw explained(path, cause);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function explained(path: string, cause: unknown): UserError {
  if (cause instanceof UserError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  return new UnreadableFileError(path, REASONS[code ?? ""] ?? message, cause);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is a file, not a folder",
  ELOOP: "its links lead back to themselves",
  EACCES: "you may not read it",
  ENAMETOOLONG: "its name is too long",
};

const megabytes = (bytes: number) => Number((bytes / 2 ** 20).toPrecision(3));

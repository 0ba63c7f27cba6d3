import { createHash, type Hash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { untilAborted, withRetries } from "../common/retry.ts";
import { type HubFile, timeOut } from "./client.ts";
import { HubAnswer, isPassing, WrongChecksum } from "./failure.ts";
import { withPartial } from "./partial.ts";

/** How one blob is downloaded. */
export interface BlobOptions {
  /** Asks for the content from a byte on. */
  readonly content: (from: number, signal: AbortSignal) => Promise<Response>;
  /** Called with how many bytes of it are there. */
  readonly onBytes: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** The longest time without a byte, milliseconds. */
  readonly stall?: number | undefined;
}

/** Failures in a row without a byte between them. */
const MOST_FAILURES = 5;

/**
 * Downloads a file to `blobs/CHECKSUM`, which is there whole or not at all. A broken connection is taken up where it broke,
 * in this process or in a later one. (`@huggingface/hub` keeps no part of a download and compares no checksum.)
 *
 * @throws WrongChecksum when twice something else came.
 */
export async function downloadBlob(file: HubFile, blobs: string, options: BlobOptions): Promise<void> {
  const blob = join(blobs, file.oid);
  if (existsSync(blob)) return;
  let [failures, reached, wrong] = [0, 0, 0];
  const onBytes = (bytes: number) => {
    if (bytes > reached) failures = 0;
    reached = Math.max(reached, bytes);
    options.onBytes(bytes);
  };
  const delay = (error: unknown) => {
    // What an earlier process left may be damaged: once more from the beginning.
    if (error instanceof WrongChecksum) return ++wrong === 1 ? 0 : undefined;
    return isPassing(error) && ++failures <= MOST_FAILURES ? Math.min(30_000, 250 * 2 ** failures) : undefined;
  };
  await withPartial(blobs, file.oid, async (partial) => {
    let receiving = Promise.resolve();
    const work = (signal: AbortSignal) => {
      receiving = receive(file, partial, { ...options, onBytes }, signal);
      return receiving;
    };
    try {
      await withRetries(work, { timeout: Number.POSITIVE_INFINITY, delay }, options.signal);
    } finally {
      // After an abort it is still being written for a moment.
      await receiving.catch(() => undefined);
    }
    await rename(partial, blob);
  });
}

/** Adds to the partial file what it lacks, and compares the whole with the checksum. */
async function receive(
  file: HubFile,
  partial: string,
  { content, onBytes, stall = 30_000 }: BlobOptions,
  signal: AbortSignal,
): Promise<void> {
  const handle = await open(partial, "a");
  try {
    let { size: have } = await handle.stat();
    if (have > file.size) have = await restart(handle);
    let hash = startHash(file);
    if (have > 0) for await (const chunk of createReadStream(partial)) hash.update(chunk);
    onBytes(have);
    if (have < file.size) {
      await withConnection(content, have, stall, signal, async (response, next) => {
        if (have > 0 && !continues(response, have)) {
          have = await restart(handle);
          hash = startHash(file);
        }
        for (let chunk = await next(); chunk && have <= file.size; chunk = await next()) {
          await handle.writeFile(chunk);
          hash.update(chunk);
          have += chunk.length;
          onBytes(have);
        }
      });
    }
    if (have < file.size) throw new Error(`the connection ended after ${have} of ${file.size} bytes`);
    const found = hash.digest("hex");
    if (found !== file.oid) {
      await rm(partial, { force: true });
      throw new WrongChecksum(
        `${file.path} came with the checksum ${found}, the hub says ${file.oid}: start again, or check the network and HF_ENDPOINT`,
      );
    }
    await handle.sync();
  } catch (error) {
    // Nothing begins where we end.
    if (error instanceof HubAnswer && error.status === 416) {
      await restart(handle);
      throw new Error("the file ends before what is here of it", { cause: error });
    }
    throw error;
  } finally {
    await handle.close();
  }
}

/** Works on a response and its pieces. The connection is given up when none comes for a while, and closed at the end. */
async function withConnection(
  content: BlobOptions["content"],
  from: number,
  stall: number,
  signal: AbortSignal,
  work: (response: Response, next: () => Promise<Uint8Array | undefined>) => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const forward = () => over.abort(signal.reason);
  signal.addEventListener("abort", forward, { once: true });
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const next = async (): Promise<Uint8Array | undefined> => {
    const timer = setTimeout(() => over.abort(timeOut("nothing came", stall)), stall);
    try {
      return reader && (await untilAborted(reader.read(), over.signal)).value;
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    signal.throwIfAborted();
    const response = await content(from, over.signal);
    reader = response.body?.getReader();
    await work(response, next);
  } finally {
    signal.removeEventListener("abort", forward);
    await reader?.cancel().catch(() => undefined);
  }
}

function continues({ status, headers }: Response, from: number): boolean {
  return status === 206 && (headers.get("content-range") ?? "").startsWith(`bytes ${from}-`);
}

async function restart(handle: FileHandle): Promise<number> {
  await handle.truncate(0);
  return 0;
}

/** The hash that names blobs: SHA-256 of what git LFS keeps, or that of a git blob. */
function startHash({ oid, size }: HubFile): Hash {
  return oid.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

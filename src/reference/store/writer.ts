import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { type FileHandle, open, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { writeFileAtomic } from "../../common/atomic-file.ts";
import { UserError } from "../../common/errors.ts";
import { INDEX_FILE, readEntries, shardFile, shardPath } from "./files.ts";
import { checkIdentity, IDENTITY_FILE, identityJson, readIdentity, type StoreIdentity } from "./identity.ts";
import { ENTRY_BYTES, encodeEntry, type IndexEntry } from "./index-entry.ts";

/** A record to write, and the key of its text. */
export interface NewRecord {
  readonly key: Buffer;
  readonly bytes: Buffer;
}

/** A shard that has reached this size gets no more records. */
const SHARD_BYTES = 2 ** 30;

/** Where the next record and the next entry go. */
interface End {
  readonly entries: number;
  readonly shard: number;
  readonly offset: number;
}

/**
 * Adds records to a reference store, block by block: a block's records first, then the index entries that make them valid. A
 * process that ends at any moment, killed or not, leaves whole blocks and perhaps a remainder, which the next writer removes.
 */
export class StoreWriter {
  readonly #folder: string;
  readonly #shardBytes: number;
  readonly #index: FileHandle;
  #end: End;
  #shard: FileHandle | undefined;

  /**
   * Opens a store for writing, a new one if there is none.
   *
   * @throws UserError when the folder holds something else, or the store of another reference.
   */
  static async open(
    folder: string,
    identity: StoreIdentity,
    { shardBytes = SHARD_BYTES }: { readonly shardBytes?: number } = {},
  ): Promise<StoreWriter> {
    const found = readIdentity(folder);
    if (found) checkIdentity(folder, found, identity);
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) if (name.endsWith(".tmp")) rmSync(join(folder, name));
    if (!found) writeFileAtomic(join(folder, IDENTITY_FILE), identityJson(identity));
    const index = await openToChange(join(folder, INDEX_FILE));
    try {
      return new StoreWriter(folder, shardBytes, index, await cutOff(folder, index));
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  private constructor(folder: string, shardBytes: number, index: FileHandle, end: End) {
    this.#folder = folder;
    this.#shardBytes = shardBytes;
    this.#index = index;
    this.#end = end;
  }

  /** Writes one block, which is on the disk when this returns. */
  async append(block: readonly NewRecord[]): Promise<void> {
    if (block.length === 0) return;
    let { entries, shard, offset } = this.#end;
    if ((await this.#index.stat()).size !== entries * ENTRY_BYTES) {
      throw new UserError(
        `${join(this.#folder, INDEX_FILE)} has changed since this build began: another build writes to this store; wait until it has finished, and start again`,
      );
    }
    const added: Buffer[] = [];
    for (const [i, { key, bytes }] of block.entries()) {
      if (offset >= this.#shardBytes) {
        await this.#leaveShard();
        shard++;
        offset = 0;
      }
      this.#shard ??= await openToChange(shardPath(this.#folder, shard));
      await writeAt(this.#shard, bytes, offset);
      added.push(
        encodeEntry({
          key,
          shard,
          offset,
          length: bytes.length,
          checksum: crc32(bytes),
          endsBlock: i === block.length - 1,
        }),
      );
      offset += bytes.length;
    }
    await this.#shard!.datasync();
    await writeAt(this.#index, Buffer.concat(added), entries * ENTRY_BYTES);
    await this.#index.datasync();
    entries += block.length;
    this.#end = { entries, shard, offset };
  }

  async close(): Promise<void> {
    await this.#leaveShard();
    await this.#index.close();
  }

  async #leaveShard(): Promise<void> {
    await this.#shard?.datasync();
    await this.#shard?.close();
    this.#shard = undefined;
  }
}

/** Removes whatever follows the last whole block, and returns where that ends. */
async function cutOff(folder: string, index: FileHandle): Promise<End> {
  const sizes = await shardSizes(folder);
  let end: End = { entries: 0, shard: 0, offset: 0 };
  let entries = 0;
  for (const entry of readEntries(index.fd)) {
    if (!entry || !liesIn(entry, sizes)) break;
    entries++;
    if (entry.endsBlock) end = { entries, shard: entry.shard, offset: entry.offset + entry.length };
  }
  await index.truncate(end.entries * ENTRY_BYTES);
  for (const [number, size] of sizes) {
    if (number > end.shard) rmSync(shardPath(folder, number));
    else if (number === end.shard && size > end.offset) await truncate(shardPath(folder, number), end.offset);
  }
  return end;
}

function liesIn({ shard, offset, length }: IndexEntry, sizes: ReadonlyMap<number, number>): boolean {
  return offset + length <= (sizes.get(shard) ?? 0);
}

async function shardSizes(folder: string): Promise<Map<number, number>> {
  const sizes = new Map<number, number>();
  for (const name of readdirSync(folder)) {
    const number = Number(/^shard-(\d+)\.bin$/.exec(name)?.[1] ?? Number.NaN);
    if (name === shardFile(number)) sizes.set(number, (await stat(join(folder, name))).size);
  }
  return sizes;
}

/** For reading and writing at any place; created when missing, never emptied. */
async function openToChange(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return open(path, "wx+");
  }
}

async function writeAt(file: FileHandle, bytes: Buffer, from: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, from + done)).bytesWritten;
  }
}

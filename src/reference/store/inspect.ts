import { setImmediate } from "node:timers/promises";
import { UserError } from "../../common/errors.ts";
import { storeBytes } from "./files.ts";
import type { StoreIdentity } from "./identity.ts";
import { StoreReader } from "./reader.ts";
import { decodeRows, type StoredRows } from "./record.ts";

/** The width of a histogram's bars, in nats. */
export const ENTROPY_STEP = 0.5;

/** A description of a store, made without its model. */
export interface Inspection {
  readonly identity: StoreIdentity;
  readonly texts: number;
  readonly rows: number;
  readonly shards: number;
  /** Of all files. */
  readonly bytes: number;
  /** Of the records alone. */
  readonly recordBytes: number;
  /** The reference's probability of what is kept, in [0, 1]; 1 for hidden states, which stand for the whole vocabulary. */
  readonly coverage: { readonly mean: number; readonly least: number };
  /** Of the whole distributions, in nats; `histogram[i]` counts the rows from i · `ENTROPY_STEP` on. */
  readonly entropy: { readonly mean: number; readonly histogram: readonly number[] };
  /** What is damaged, one sentence each. Damaged records are counted nowhere else. */
  readonly faults: readonly string[];
}

/** Reads a whole store, one record at a time, and checks every checksum. @param onRecord called after each of `of` records. */
export async function inspectStore(
  folder: string,
  { onRecord = () => {}, signal }: { onRecord?: (done: number, of: number) => void; signal?: AbortSignal } = {},
): Promise<Inspection> {
  const store = StoreReader.open(folder);
  try {
    const faults: string[] = [];
    const shards = new Set<number>();
    const histogram: number[] = [];
    let [texts, rows, recordBytes, covered, least, entropies] = [0, 0, 0, 0, 1, 0];
    let number = 0;
    for (const entry of store.entries()) {
      // Lets the event loop handle Ctrl-C.
      if (number % 256 === 0) await setImmediate();
      signal?.throwIfAborted();
      shards.add(entry.shard);
      try {
        const found = decodeRows(store.read(entry, number), store.format)!;
        texts++;
        recordBytes += entry.length;
        for (const [row, nats] of found.entropy.entries()) {
          const share = coverageOf(found, row);
          const bar = Math.floor(nats / ENTROPY_STEP);
          rows++;
          covered += share;
          least = Math.min(least, share);
          entropies += nats;
          while (histogram.length <= bar) histogram.push(0);
          histogram[bar]!++;
        }
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        faults.push(error.message);
      }
      onRecord(++number, store.size);
    }
    return {
      identity: store.identity,
      texts,
      rows,
      shards: shards.size,
      bytes: storeBytes(folder),
      recordBytes,
      coverage: { mean: rows === 0 ? 1 : covered / rows, least },
      entropy: { mean: rows === 0 ? 0 : entropies / rows, histogram },
      faults,
    };
  } finally {
    store.close();
  }
}

function coverageOf({ kept }: StoredRows, row: number): number {
  return "support" in kept ? 1 - Math.exp(kept.tail!.data[row]!) : 1;
}

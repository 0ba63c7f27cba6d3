import { isTopK, type ReferenceRows } from "./contract.ts";

/**
 * Rows that are kept from step to step, by what they belong to, such as a datum: training comes back to the same data.
 * When they take more than `maxBytes`, the least recently used give way; those of the latest batch never do.
 */
export class RowCache<Key extends object, Rows extends ReferenceRows> {
  readonly #maxBytes: number;
  /** The least recently used first. */
  readonly #known = new Map<Key, Rows>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(key: Key): Rows | undefined {
    return this.#known.get(key);
  }

  /** Keeps all rows of a batch, as the most recently used. */
  keep(batch: ReadonlyMap<Key, Rows>): void {
    for (const [key, rows] of batch) {
      this.#remove(key);
      this.#known.set(key, rows);
      this.#bytes += bytesOf(rows);
    }
    for (const key of this.#known.keys()) {
      if (this.#bytes <= this.#maxBytes || batch.has(key)) return;
      this.#remove(key);
    }
  }

  #remove(key: Key): void {
    const rows = this.#known.get(key);
    if (!rows) return;
    this.#known.delete(key);
    this.#bytes -= bytesOf(rows);
  }
}

function bytesOf(rows: ReferenceRows): number {
  const tensors = isTopK(rows) ? [rows.tokens, rows.logprobs, ...(rows.tail ? [rows.tail] : [])] : [rows];
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}

import { inTurn } from "../common/serial.ts";
import type { Datum } from "../data/datum.ts";
import { isTopK, type ReferenceRows } from "./legacy.ts";
import { rowsOf } from "./rows-of.ts";

/**
 * Rows that are read once and kept as long as there is room: training comes back to the same data, and an engine cuts them.
 * The oldest give way when there are too many.
 */
export class KeptRows<Rows extends ReferenceRows> {
  readonly #source: (data: readonly Datum[]) => Promise<readonly Rows[]>;
  readonly #most: number;
  readonly #known = new Map<Datum, Rows>();
  readonly #inTurn = inTurn();
  #bytes = 0;

  /**
   * @param source reads the rows of whole data.
   * @param most how many bytes to keep; those of the data asked about last are kept whatever they are.
   */
  constructor(source: (data: readonly Datum[]) => Promise<readonly Rows[]>, most: number) {
    this.#source = source;
    this.#most = most;
  }

  /** Reads all of a batch, before parts of it are asked for. */
  read(batch: readonly Datum[]): Promise<void> {
    return this.#inTurn(() => this.#read(batch));
  }

  /** The rows of each datum. */
  rows(data: readonly Datum[]): Promise<readonly Rows[]> {
    return this.#inTurn(async () => {
      await this.#read(data);
      return data.map((datum) => this.#find(datum)!);
    });
  }

  #find(datum: Datum): Rows | undefined {
    return rowsOf(datum, (whole) => this.#known.get(whole));
  }

  async #read(data: readonly Datum[]): Promise<void> {
    const unknown = new Set(data.filter((datum) => !this.#find(datum)).map((datum) => datum.cutFrom?.datum ?? datum));
    if (unknown.size === 0) return;
    const read = await this.#source([...unknown]);
    for (const [i, datum] of [...unknown].entries()) {
      this.#known.set(datum, read[i]!);
      this.#bytes += bytesOf(read[i]!);
    }
    const asked = new Set(data.map((datum) => datum.cutFrom?.datum ?? datum));
    for (const [datum, rows] of this.#known) {
      if (this.#bytes <= this.#most) break;
      if (asked.has(datum)) continue;
      this.#known.delete(datum);
      this.#bytes -= bytesOf(rows);
    }
  }
}

function bytesOf(rows: ReferenceRows): number {
  const tensors = isTopK(rows) ? [rows.tokens, rows.logprobs, ...(rows.tail ? [rows.tail] : [])] : [rows];
  return tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
}

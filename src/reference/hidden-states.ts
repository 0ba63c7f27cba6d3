import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { inTurn } from "../in-turn.ts";
import { rowsOf } from "./rows-of.ts";

/** A model that tells its final hidden states, and makes distributions of them. Embedded engines do. */
export interface HiddenModel {
  /** Per datum the final hidden states of its rows, [M, d]. */
  hidden(data: readonly Datum[]): Promise<readonly Tensor[]>;
  /** The log-probabilities [n, V] that the head makes of hidden states [n, d]. */
  fromHidden(hidden: readonly Tensor[]): Promise<readonly Tensor[]>;
}

/** Bytes of hidden states that are kept of data that were asked about before. */
const KEPT_BYTES = 256 << 20;

/**
 * Distributions of a model that does not change, by hidden states that are kept: d numbers a row instead of V. The decoder
 * then reads each datum once, however often training comes back to it and however an engine cuts it; the oldest give way
 * when there are too many.
 */
export class HiddenStates {
  readonly #model: HiddenModel;
  readonly #most: number;
  readonly #known = new Map<Datum, Tensor>();
  readonly #inTurn = inTurn();
  #bytes = 0;

  /** @param most how many bytes to keep; those of the data asked about last are kept whatever they are. */
  constructor(model: HiddenModel, most = KEPT_BYTES) {
    this.#model = model;
    this.#most = most;
  }

  /** Has the model read all of a batch, before parts of it are asked for. */
  read(batch: readonly Datum[]): Promise<void> {
    return this.#inTurn(() => this.#read(batch));
  }

  /** The distributions of each datum's rows, [M, V]. */
  async distributions(data: readonly Datum[]): Promise<readonly Tensor[]> {
    const hidden = await this.#inTurn(async () => {
      await this.#read(data);
      return data.map((datum) => this.#find(datum)!);
    });
    return this.#model.fromHidden(hidden);
  }

  #find(datum: Datum): Tensor | undefined {
    return rowsOf(datum, (whole) => this.#known.get(whole));
  }

  async #read(data: readonly Datum[]): Promise<void> {
    const unknown = new Set(data.filter((datum) => !this.#find(datum)).map((datum) => datum.cutFrom?.datum ?? datum));
    if (unknown.size === 0) return;
    const read = await this.#model.hidden([...unknown]);
    for (const [i, datum] of [...unknown].entries()) {
      this.#known.set(datum, read[i]!);
      this.#bytes += read[i]!.data.byteLength;
    }
    const asked = new Set(data.map((datum) => datum.cutFrom?.datum ?? datum));
    for (const [datum, { data }] of this.#known) {
      if (this.#bytes <= this.#most) break;
      if (asked.has(datum)) continue;
      this.#known.delete(datum);
      this.#bytes -= data.byteLength;
    }
  }
}

import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { KeptRows } from "./row-cache.ts";

/** A model's head: log-probabilities [n, V] of final hidden states [n, d]. */
export interface Head {
  fromHidden(hidden: readonly Tensor[]): Promise<readonly Tensor[]>;
}

/** A model that tells its final hidden states as well. Embedded engines do. */
export interface HiddenModel extends Head {
  /** Per datum the final hidden states of its rows, [M, d]. */
  hidden(data: readonly Datum[]): Promise<readonly Tensor[]>;
}

/** Bytes of hidden states that are kept of data that were asked about before. */
const KEPT_BYTES = 256 << 20;

/**
 * Distributions of a model that does not change, by hidden states that are kept: d numbers a row instead of V. The decoder
 * then reads each datum once, however often training comes back to it and however an engine cuts it.
 */
export class HiddenStates {
  readonly #model: HiddenModel;
  readonly #kept: KeptRows<Tensor>;

  /** @param most how many bytes to keep; those of the data asked about last are kept whatever they are. */
  constructor(model: HiddenModel, most = KEPT_BYTES) {
    this.#model = model;
    this.#kept = new KeptRows((data) => model.hidden(data), most);
  }

  /** Has the model read all of a batch, before parts of it are asked for. */
  read(batch: readonly Datum[]): Promise<void> {
    return this.#kept.read(batch);
  }

  /** The distributions of each datum's rows, [M, V]. */
  async distributions(data: readonly Datum[]): Promise<readonly Tensor[]> {
    return this.#model.fromHidden(await this.#kept.rows(data));
  }
}

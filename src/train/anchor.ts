import { type Batches, batchesOf } from "../data/batches.ts";
import type { Datum } from "../data/datum.ts";
import { ANCHOR_DEFAULTS } from "../model/training.ts";

/** Text without labels, on which a regularizer holds the model: every token of every datum counts. */
export interface Anchor {
  readonly data: readonly Datum[];
  /** Texts per step. Default 8. */
  readonly batchSize?: number | undefined;
  /** Of the order of the texts. Default 1. */
  readonly seed?: number | undefined;
  /**
   * Gives the texts of the steps after `every`, after 2 · `every`, …, those of the same step the same each time. Default:
   * `data` in all steps.
   */
  readonly refresh?: { readonly every: number; draw(step: number): Promise<readonly Datum[]> } | undefined;
}

/** The texts of one anchor in a step, counted from 1. They depend on the anchor and the step alone. */
export function anchorTexts({
  data,
  batchSize = ANCHOR_DEFAULTS.batchSize,
  seed = ANCHOR_DEFAULTS.seed,
  refresh,
}: Anchor): (step: number) => Promise<readonly Datum[]> {
  const every = refresh?.every ?? Number.POSITIVE_INFINITY;
  const order = (texts: readonly Datum[]) => batchesOf(texts, { batchSize, seed, shuffle: true, lastBatch: "full" });
  let [period, batches]: [number, Batches<Datum>] = [0, order(data)];
  return async (step) => {
    const wanted = every === Number.POSITIVE_INFINITY ? 0 : Math.floor((step - 1) / every);
    if (wanted !== period) {
      batches = order(wanted === 0 ? data : await refresh!.draw(1 + wanted * every));
      period = wanted;
    }
    return batches.at(period === 0 ? step : step - period * every);
  };
}

import { batches } from "../data/batches.ts";
import type { Datum } from "../data/datum.ts";

/** Text without labels, on which a regularizer holds the model: every token of every datum counts. */
export interface Anchor {
  readonly data: readonly Datum[];
  /** Data per step. */
  readonly rows: number;
  readonly seed: number;
  /** Gives other data for the steps after `every`, after 2 · `every`, …. Default: the same data in all steps. */
  readonly refresh?: { readonly every: number; draw(step: number): Promise<readonly Datum[]> } | undefined;
}

/** The data of one anchor, a step at a time, each as often as any other. Steps are counted from 1 and asked for in order. */
export function anchorStream({ data, rows, seed, refresh }: Anchor): (step: number) => Promise<readonly Datum[]> {
  let stream = batches(data, { batchSize: rows, seed, shuffle: true });
  return async (step) => {
    if (refresh && step > 1 && (step - 1) % refresh.every === 0) {
      stream = batches(await refresh.draw(step), { batchSize: rows, seed, shuffle: true });
    }
    return stream.next().value;
  };
}

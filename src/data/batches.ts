import { createRandom, shuffled } from "../common/random.ts";

export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** A new order each epoch; false: the order of `items`. */
  readonly shuffle: boolean;
}

/**
 * Batches without end. Every epoch has each item once, in an order of its own if `shuffle`; a batch may hold the last
 * items of one epoch and the first of the next, so that each has exactly `batchSize`. If there are fewer items than
 * that, a batch is all of them: repeating some within a batch would only weigh them more. Equal seeds give equal batches.
 *
 * @throws RangeError without items.
 */
export function* batches<Item>(
  items: readonly Item[],
  { batchSize, seed, shuffle }: BatchOptions,
): Generator<Item[], never> {
  if (items.length === 0) throw new RangeError("there is nothing to make batches of");
  const random = createRandom(seed);
  const size = Math.min(batchSize, items.length);
  let waiting: Item[] = [];
  while (true) {
    if (waiting.length < size) waiting = waiting.concat(shuffle ? shuffled(items, random) : items);
    yield waiting.slice(0, size);
    waiting = waiting.slice(size);
  }
}

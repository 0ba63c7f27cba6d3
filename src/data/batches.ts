import { UserError } from "../common/errors.ts";
import { createRandom, type Random, shuffled } from "../common/random.ts";

export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** A new order each epoch; false: the order of `items`. */
  readonly shuffle: boolean;
  /**
   * How an epoch ends whose items are no multiple of `batchSize`. `"smaller"`: with a smaller batch, so that no step has
   * items of two epochs. `"full"`: every batch has `batchSize` items (all of them if there are fewer), the last of an epoch
   * and the first of the next together.
   */
  readonly lastBatch: "smaller" | "full";
}

/** The batches of training, one for each step. */
export interface Batches<Item> {
  /** How many steps go once through the items; no whole number where a step may have items of two epochs. */
  readonly stepsPerEpoch: number;
  /** The batch of a step, counted from 1. It depends on items, seed and step alone. */
  at(step: number): readonly Item[];
}

/**
 * Batches without end. Every epoch has each item once, in an order of its own if `shuffle`. Equal seeds give equal batches.
 *
 * @throws UserError without items, or for a batch size that is no whole number of at least 1.
 * @example batchesOf(data, { batchSize: 16, seed: 1, shuffle: true, lastBatch: "full" }).at(1)
 */
export function batchesOf<Item>(
  items: readonly Item[],
  { batchSize, seed, shuffle, lastBatch }: BatchOptions,
): Batches<Item> {
  if (items.length === 0) throw new UserError("there are no items to batch");
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new UserError(`the batch size is ${batchSize}, expected a whole number of at least 1`);
  }
  const size = Math.min(batchSize, items.length);
  const orderOf = shuffle ? shuffledEpochs(items, seed) : () => items;
  if (lastBatch === "smaller") {
    const stepsPerEpoch = Math.ceil(items.length / size);
    return {
      stepsPerEpoch,
      at: (step) => {
        const from = ((step - 1) % stepsPerEpoch) * size;
        return orderOf(Math.floor((step - 1) / stepsPerEpoch)).slice(from, from + size);
      },
    };
  }
  return {
    stepsPerEpoch: items.length / size,
    at: (step) => {
      const first = (step - 1) * size;
      const epoch = Math.floor(first / items.length);
      const from = first - epoch * items.length;
      const batch = orderOf(epoch).slice(from, from + size);
      return batch.length === size ? batch : [...batch, ...orderOf(epoch + 1).slice(0, size - batch.length)];
    },
  };
}

/** The order of an epoch, counted from 0. Epochs before the one asked for last are shuffled again from the seed. */
function shuffledEpochs<Item>(items: readonly Item[], seed: number): (epoch: number) => readonly Item[] {
  let [known, order, random]: [number, readonly Item[], Random] = [-1, items, createRandom(seed)];
  return (epoch) => {
    if (epoch < known) [known, random] = [-1, createRandom(seed)];
    for (; known < epoch; known++) order = shuffled(items, random);
    return order;
  };
}

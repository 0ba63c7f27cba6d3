import { UserError } from "../common/errors.ts";
import { createRandom, type Random, shuffled } from "../common/random.ts";

export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** A new order each epoch; false: the order of `items`. */
  readonly shuffle: boolean;
}

/** The batches of training, one for each step. */
export interface Batches<Item> {
  /** Steps that go once through the items: the last batch of an epoch may be smaller than the others. */
  readonly stepsPerEpoch: number;
  /** The batch of a step, counted from 1. It depends on items, seed and step alone. */
  at(step: number): readonly Item[];
}

/**
 * Batches without end. Every epoch has each item once, in an order of its own if `shuffle`; where the items are no multiple
 * of `batchSize`, its last batch is smaller. Equal seeds give equal batches.
 *
 * @throws UserError without items, or for a batch size that is no whole number of at least 1.
 * @example batchesOf(data, { batchSize: 16, seed: 1, shuffle: true }).at(1)
 */
export function batchesOf<Item>(items: readonly Item[], { batchSize, seed, shuffle }: BatchOptions): Batches<Item> {
  if (items.length === 0) throw new UserError("there are no items to batch");
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new UserError(`the batch size is ${batchSize}, expected a whole number of at least 1`);
  }
  const stepsPerEpoch = Math.ceil(items.length / batchSize);
  /** The order of the epoch that was asked for last; earlier ones are shuffled again from the seed. */
  let [epoch, order, random]: [number, readonly Item[], Random] = [-1, items, createRandom(seed)];
  return {
    stepsPerEpoch,
    at: (step) => {
      const wanted = Math.floor((step - 1) / stepsPerEpoch);
      if (shuffle && wanted < epoch) [epoch, random] = [-1, createRandom(seed)];
      for (; shuffle && epoch < wanted; epoch++) order = shuffled(items, random);
      const from = ((step - 1) % stepsPerEpoch) * batchSize;
      return order.slice(from, from + batchSize);
    },
  };
}

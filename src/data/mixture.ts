import { UserError } from "../common/errors.ts";
import { least } from "../common/extremes.ts";
import { type Batches, type BatchOptions, batchesOf } from "./batches.ts";

/** So many neighbours among items, and the share of drawn items that come from them. */
export interface MixturePart {
  readonly count: number;
  readonly share: number;
}

/**
 * Batches from parts with fixed shares. After any number of drawn items each part has given its share of them to within
 * one item. A part is gone through in an order of its own (that of the items without `shuffle`), each item once, and then
 * anew in another order; which part an item is drawn from depends on shares alone, which item on its part and the seed.
 * An epoch is as many draws as there are items.
 *
 * @param items those of the first part, then those of the second, …
 * @param parts whose shares add up to 1.
 * @throws UserError for parts that do not make up the items, or shares that are not above 0 and do not add up to 1.
 * @example mixedBatches([...a, ...b], [{ count: a.length, share: 0.9 }, { count: b.length, share: 0.1 }], options)
 * @see Tijdeman 1980, The chairman assignment problem
 */
export function mixedBatches<Item>(
  items: readonly Item[],
  parts: readonly MixturePart[],
  options: BatchOptions,
): Batches<Item> {
  const { batchSize, seed, shuffle, lastBatch } = options;
  check(items.length, parts);
  const { stepsPerEpoch } = batchesOf(items, options);
  let begin = 0;
  const orders = parts.map(({ count }, i) => {
    const own = items.slice(begin, begin + count);
    begin += count;
    return batchesOf(own, { batchSize: 1, seed: seed + i, shuffle, lastBatch: "smaller" });
  });
  const size = Math.min(batchSize, items.length);
  const draws = drawParts(parts.map(({ share }) => share));
  return {
    stepsPerEpoch,
    at: (step) => {
      const epoch = Math.floor((step - 1) / Math.ceil(items.length / size));
      const inEpoch = ((step - 1) % Math.ceil(items.length / size)) * size;
      const first = lastBatch === "full" ? (step - 1) * size : epoch * items.length + inEpoch;
      const end = lastBatch === "full" ? first + size : epoch * items.length + Math.min(inEpoch + size, items.length);
      return Array.from({ length: end - first }, (_, i) => {
        const { part, draw } = draws(first + i);
        return orders[part]!.at(draw + 1)[0]!;
      });
    },
  };
}

function check(items: number, parts: readonly MixturePart[]): void {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  if (count !== items) throw new UserError(`the parts of the mixture have ${count} items, expected all ${items}`);
  const sum = parts.reduce((sum, { share }) => sum + share, 0);
  if (parts.some(({ share }) => !(share > 0)) || Math.abs(sum - 1) > 1e-6) {
    const shares = parts.map(({ share }) => share).join(", ");
    throw new UserError(`the shares of the mixture are ${shares}, expected numbers above 0 that add up to 1`);
  }
}

/** An item to draw: which of its part's, from 0. */
interface Draw {
  readonly part: number;
  readonly draw: number;
}

/** Which part each draw is from, counted from 0; found in order, and kept. */
function drawParts(shares: readonly number[]): (draw: number) => Draw {
  const given = shares.map(() => 0);
  const known: Draw[] = [];
  // Whoever is owed at least `lowest` may be next, and the first of them to be owed `most` is: then nobody is owed more.
  const lowest = shares.length > 1 ? 1 / (2 * shares.length - 2) : 0;
  const most = 1 - lowest;
  return (draw) => {
    while (known.length <= draw) {
      const owed = shares.map((share, i) => share * (known.length + 1) - given[i]!);
      const timeLeft = owed.map((owed, i) =>
        owed >= lowest - 1e-9 ? (most - owed) / shares[i]! : Number.POSITIVE_INFINITY,
      );
      const part = timeLeft.indexOf(least(timeLeft));
      known.push({ part, draw: given[part]! });
      given[part]!++;
    }
    return known[draw]!;
  };
}

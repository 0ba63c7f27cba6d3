import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BatchOptions, batches } from "../../src/data/batches.ts";

function take(items: readonly number[], options: Partial<BatchOptions>, count: number): number[][] {
  const stream = batches(items, { batchSize: 2, seed: 1, shuffle: true, ...options });
  return Array.from({ length: count }, () => stream.next().value);
}

test("without shuffling, the items in order, around and around", () => {
  expect(take([1, 2, 3, 4, 5], { shuffle: false }, 4)).toEqual([
    [1, 2],
    [3, 4],
    [5, 1],
    [2, 3],
  ]);
});

test("fewer items than a batch: all of them, every time", () => {
  expect(take([1, 2, 3], { shuffle: false, batchSize: 5 }, 2)).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
  for (const batch of take([1, 2, 3], { batchSize: 5 }, 9)) expect(batch.sort()).toEqual([1, 2, 3]);
});

test("nothing to make batches of", () => {
  expect(() => take([], {}, 1)).toThrow(RangeError);
});

describe("shuffled", () => {
  const items = Array.from({ length: 20 }, (_, i) => i);

  test("equal seeds give equal batches, other seeds and other epochs other ones", () => {
    const epochs = (seed: number) => take(items, { seed, batchSize: 20 }, 2);
    expect(epochs(1)).toEqual(epochs(1));
    expect(epochs(1)).not.toEqual(epochs(2));
    expect(epochs(1)[0]).not.toEqual(epochs(1)[1]);
  });

  test("each epoch has each item once, whatever the batch size, and each batch is full", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer(),
        fc.boolean(),
        (count, batchSize, seed, shuffle) => {
          const items = Array.from({ length: count }, (_, i) => i);
          const size = Math.min(batchSize, count);
          const taken = take(items, { batchSize, seed, shuffle }, Math.ceil((2 * count) / size));
          for (const batch of taken) expect(batch).toHaveLength(size);
          const flat = taken.flat();
          for (const from of [0, count]) expect(flat.slice(from, from + count).sort((a, b) => a - b)).toEqual(items);
        },
      ),
    );
  });
});

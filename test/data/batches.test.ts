import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type BatchOptions, batchesOf } from "../../src/data/batches.ts";

function take(items: readonly number[], options: Partial<BatchOptions>, count: number): number[][] {
  const batches = batchesOf(items, { batchSize: 2, seed: 1, shuffle: true, ...options });
  return Array.from({ length: count }, (_, i) => [...batches.at(i + 1)]);
}

test("without shuffling, the items in order, again and again; the last batch of an epoch is smaller", () => {
  expect(take([1, 2, 3, 4, 5], { shuffle: false }, 5)).toEqual([[1, 2], [3, 4], [5], [1, 2], [3, 4]]);
});

test("fewer items than a batch: all of them, every time", () => {
  expect(take([1, 2, 3], { shuffle: false, batchSize: 5 }, 2)).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
  for (const batch of take([1, 2, 3], { batchSize: 5 }, 9)) expect(batch.sort()).toEqual([1, 2, 3]);
});

test("no items, or an invalid batch size, is refused", () => {
  expect(() => take([], {}, 1)).toThrow(UserError);
  for (const batchSize of [0, -1, 1.5, Number.NaN])
    expect(() => take([1, 2], { batchSize }, 1)).toThrow(/batch size is/);
});

describe("shuffled", () => {
  const items = Array.from({ length: 20 }, (_, i) => i);

  test("equal seeds give equal batches, other seeds and other epochs other ones", () => {
    const epochs = (seed: number) => take(items, { seed, batchSize: 20 }, 2);
    expect(epochs(1)).toEqual(epochs(1));
    expect(epochs(1)).not.toEqual(epochs(2));
    expect(epochs(1)[0]).not.toEqual(epochs(1)[1]);
  });

  test("each epoch has each item once, whatever the batch size, and all batches but its last are full", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer(),
        fc.boolean(),
        (count, batchSize, seed, shuffle) => {
          const items = Array.from({ length: count }, (_, i) => i);
          const { stepsPerEpoch } = batchesOf(items, { batchSize, seed, shuffle });
          const taken = take(items, { batchSize, seed, shuffle }, 2 * stepsPerEpoch);
          for (const epoch of [taken.slice(0, stepsPerEpoch), taken.slice(stepsPerEpoch)]) {
            expect(epoch.flat().sort((a, b) => a - b)).toEqual(items);
            for (const batch of epoch.slice(0, -1)) expect(batch).toHaveLength(batchSize);
          }
        },
      ),
    );
  });

  test("a batch depends on its step alone, in whatever order steps are asked for", () => {
    const inOrder = take(items, { batchSize: 3 }, 30);
    const batches = batchesOf(items, { batchSize: 3, seed: 1, shuffle: true });
    for (const step of [30, 1, 17, 8, 29, 7, 30]) expect(batches.at(step)).toEqual(inOrder[step - 1]);
  });
});

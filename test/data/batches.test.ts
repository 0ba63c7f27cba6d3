import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type BatchOptions, batchesOf } from "../../src/data/batches.ts";

function take(items: readonly number[], options: Partial<BatchOptions>, count: number): number[][] {
  const batches = batchesOf(items, { batchSize: 2, seed: 1, shuffle: true, lastBatch: "smaller", ...options });
  return Array.from({ length: count }, (_, i) => [...batches.at(i + 1)]);
}

test("without shuffling, the items in order, again and again; the last batch of an epoch is smaller", () => {
  expect(take([1, 2, 3, 4, 5], { shuffle: false }, 5)).toEqual([[1, 2], [3, 4], [5], [1, 2], [3, 4]]);
});

test("with full batches the last items of an epoch and the first of the next are one", () => {
  const full = { shuffle: false, lastBatch: "full" } as const;
  expect(take([1, 2, 3, 4, 5], full, 4)).toEqual([
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

  test("each epoch has each item once, whatever the batch size and however it ends", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer(),
        fc.boolean(),
        fc.constantFrom("smaller" as const, "full" as const),
        (count, batchSize, seed, shuffle, lastBatch) => {
          const items = Array.from({ length: count }, (_, i) => i);
          const size = Math.min(batchSize, count);
          const options = { batchSize, seed, shuffle, lastBatch };
          const { stepsPerEpoch } = batchesOf(items, options);
          const taken = take(items, options, Math.ceil(2 * stepsPerEpoch));
          const flat = taken.flat();
          for (const from of [0, count]) expect(flat.slice(from, from + count).sort((a, b) => a - b)).toEqual(items);
          if (lastBatch === "full") for (const batch of taken) expect(batch).toHaveLength(size);
          else expect(taken.slice(0, stepsPerEpoch).flat()).toHaveLength(count);
        },
      ),
    );
  });

  test.each(["smaller", "full"] as const)(
    "a batch depends on its step alone, in whatever order steps are asked for (%s)",
    (lastBatch) => {
      const inOrder = take(items, { batchSize: 3, lastBatch }, 30);
      const batches = batchesOf(items, { batchSize: 3, seed: 1, shuffle: true, lastBatch });
      for (const step of [30, 1, 17, 8, 29, 7, 30]) expect([...batches.at(step)]).toEqual(inOrder[step - 1]);
    },
  );
});

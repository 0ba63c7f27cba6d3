import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mixedBatches } from "../../src/data/mixture.ts";
import { complaint } from "./folders.ts";

const order = { batchSize: 4, seed: 1, shuffle: true, lastBatch: "full" } as const;
const items = Array.from({ length: 10 }, (_, i) => i);
const steps = (most: number) => Array.from({ length: most }, (_, i) => i + 1);

/** Parts of some items each, with shares in proportion to whole numbers. */
const mixtures = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 50 })), { minLength: 1, maxLength: 6 })
  .map((parts) => {
    const sum = parts.reduce((sum, [, weight]) => sum + weight, 0);
    return parts.map(([count, weight]) => ({ count, share: weight / sum }));
  });

describe("shares", () => {
  test("hold to within one item after any number of draws", () => {
    fc.assert(
      fc.property(mixtures, (parts) => {
        const owners = parts.flatMap(({ count }, part) => Array.from({ length: count }, () => part));
        const batches = mixedBatches(owners, parts, { ...order, batchSize: 1 });
        const given = parts.map(() => 0);
        for (const step of steps(200)) {
          given[batches.at(step)[0]!]!++;
          parts.forEach(({ share }, i) => {
            expect(Math.abs(given[i]! - share * step)).toBeLessThan(1);
          });
        }
      }),
    );
  });

  test("a quarter is one of every four", () => {
    const batches = mixedBatches(
      items,
      [
        { count: 2, share: 0.25 },
        { count: 8, share: 0.75 },
      ],
      order,
    );
    for (const step of steps(20)) expect(batches.at(step).filter((item) => item < 2)).toHaveLength(1);
  });
});

test("each part is gone through, each item once, before it begins anew, in another order", () => {
  const parts = [
    { count: 7, share: 0.5 },
    { count: 3, share: 0.5 },
  ];
  const drawn = steps(42).flatMap((step) => [...mixedBatches(items, parts, { ...order, batchSize: 2 }).at(step)]);
  const [first, second] = [drawn.filter((item) => item < 7), drawn.filter((item) => item >= 7)];
  expect([first.length, second.length]).toEqual([42, 42]);
  const rounds = Array.from({ length: 6 }, (_, i) => first.slice(7 * i, 7 * i + 7));
  for (const round of rounds) expect(round.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(rounds.map(String)).size).toBeGreaterThan(3);
  for (let i = 0; i < 42; i += 3) expect(second.slice(i, i + 3).toSorted()).toEqual([7, 8, 9]);
});

test("seeds fix the order, which any step can be asked for; without shuffling it is that of the items", () => {
  const parts = [
    { count: 6, share: 0.7 },
    { count: 4, share: 0.3 },
  ];
  const all = (seed: number) => steps(30).map((step) => mixedBatches(items, parts, { ...order, seed }).at(step));
  const once = mixedBatches(items, parts, order);
  expect(
    steps(30)
      .reverse()
      .map((step) => once.at(step))
      .reverse(),
  ).toEqual(all(1));
  expect(all(2)).not.toEqual(all(1));
  const plain = mixedBatches(items, parts, { ...order, shuffle: false });
  expect(
    steps(5)
      .flatMap((step) => plain.at(step))
      .filter((item) => item < 6)
      .slice(0, 8),
  ).toEqual([0, 1, 2, 3, 4, 5, 0, 1]);
});

test("an epoch is as many draws as there are items, and ends with a smaller batch where it is asked to", () => {
  const parts = [
    { count: 5, share: 0.5 },
    { count: 5, share: 0.5 },
  ];
  const epochs = mixedBatches(items, parts, { ...order, lastBatch: "smaller" });
  expect(epochs.stepsPerEpoch).toBe(3);
  expect(steps(6).map((step) => epochs.at(step).length)).toEqual([4, 4, 2, 4, 4, 2]);
  for (const epoch of [0, 1]) {
    const drawn = [1, 2, 3].flatMap((step) => epochs.at(3 * epoch + step));
    expect(drawn.toSorted()).toEqual(items);
  }
});

test("parts that do not fit are refused", async () => {
  const mix = (...parts: [number, number][]) =>
    complaint(() =>
      mixedBatches(
        items,
        parts.map(([count, share]) => ({ count, share })),
        order,
      ),
    );
  expect(await mix([3, 0.5], [6, 0.5])).toBe("the parts of the mixture have 9 items, expected all 10");
  const shares = "expected numbers above 0 that add up to 1";
  expect(await mix([5, 0.5], [5, 0.4])).toBe(`the shares of the mixture are 0.5, 0.4, ${shares}`);
  expect(await mix([5, 1.5], [5, -0.5])).toBe(`the shares of the mixture are 1.5, -0.5, ${shares}`);
});

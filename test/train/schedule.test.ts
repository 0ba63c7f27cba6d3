import { expect, test } from "vitest";
import { learningRate } from "../../src/train/schedule.ts";

const rates = (schedule: "linear" | "constant" | "cosine", steps: number, warmupSteps: number) =>
  Array.from({ length: steps }, (_, i) => learningRate(i + 1, steps, { learningRate: 1, schedule, warmupSteps }));

test("warm-up rises to the full rate, then linear falls towards 0 without reaching it", () => {
  expect(rates("linear", 6, 2)).toEqual([0.5, 1, 1, 0.75, 0.5, 0.25]);
});

test("constant stays", () => {
  expect(rates("constant", 4, 0)).toEqual([1, 1, 1, 1]);
});

test("cosine is half way down in the middle, and symmetric about it", () => {
  const all = rates("cosine", 5, 1);
  expect(all[1]).toBe(1);
  expect(all[3]).toBeCloseTo(0.5, 12);
  expect(all[2]! + all[4]!).toBeCloseTo(1, 12);
});

test("no rate is ever above the given one, negative or zero", () => {
  for (const schedule of ["linear", "constant", "cosine"] as const) {
    for (const warmup of [0, 1, 5, 10, 20]) {
      for (const rate of rates(schedule, 10, warmup)) {
        expect(rate).toBeGreaterThan(0);
        expect(rate).toBeLessThanOrEqual(1);
      }
    }
  }
});

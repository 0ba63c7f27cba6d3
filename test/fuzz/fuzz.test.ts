import { expect, test } from "vitest";
import { KINDS } from "./kinds/index.ts";
import { fuzz } from "./run.ts";

/** @file A little of what `npm run test:fuzz` does at length. */

test("hostile input of every kind ends in a result or in a sentence, within seconds and a gigabyte", async () => {
  const tallies = await fuzz(1500, 1);
  expect(tallies.flatMap(({ faults }) => faults)).toEqual([]);
  expect(tallies.map(({ kind }) => kind)).toEqual(KINDS.map(({ name }) => name));
  for (const { kind, cases, well, refused } of tallies) {
    expect(well + refused, kind).toBe(cases);
    // Of input that is always refused, or never, nothing would be learnt.
    expect(well, kind).toBeGreaterThan(0);
    expect(refused, kind).toBeGreaterThan(0);
  }
});

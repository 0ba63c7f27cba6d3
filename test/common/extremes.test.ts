import { expect, test } from "vitest";
import { greatest, least } from "../../src/common/extremes.ts";
import { runSettings } from "../../src/run/describe.ts";

test("extremes of none, of a NaN, and of more numbers than a call takes arguments", () => {
  expect([greatest([]), least([])]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  expect([greatest([1, Number.NaN]), least([Number.NaN, 1])]).toEqual([Number.NaN, Number.NaN]);
  const many = Float64Array.from({ length: 1_000_000 }, (_, i) => (i * 7919) % 1_000_003);
  expect([greatest(many), least(many)]).toEqual([many.toSorted().at(-1), many.toSorted()[0]]);
});

test("the greatest weight of a run of 300,000 steps is told", () => {
  const rows = Array.from({ length: 300_000 }, (_, i) => ({ step: i + 1, weight: i / 300_000 }));
  const weight = { schedule: "linear", from: 0, to: 1, steps: 300_000 };
  const settings = { type: "entropy", name: null, weight, mode: "penalty", text: "completions" };
  const config = { regularizers: [settings] } as unknown as Parameters<typeof runSettings>[0];
  expect(runSettings(config, rows as unknown as Parameters<typeof runSettings>[1]).weight).toBe(299_999 / 300_000);
});

import { expect, test } from "vitest";
import { bestStep, whyOver } from "../../src/run/early-stopping.ts";
import type { StepMetrics } from "../../src/train/metrics.ts";

const NONE = { best: null, patience: null, max_drift: null };

/** Steps 1, 2, … with what was measured after some. */
const rows = (...measured: (readonly [loss: number, drift: number] | null)[]) =>
  measured.map((each, i) => ({
    step: i + 1,
    ...(each && { eval_loss: each[0], eval_drift: each[1] }),
  })) as unknown as StepMetrics[];

test("the best step is the lowest of what was measured, the first of equals", () => {
  const measured = rows(null, [3, 0.1], null, [2, 0.2], [2, 0.3], [4, 0.05]);
  expect(bestStep(measured, { ...NONE, best: "eval_loss" })).toBe(4);
  expect(bestStep(measured, { ...NONE, best: "eval_drift" })).toBe(6);
  expect(bestStep(rows(null, null), { ...NONE, best: "eval_loss" })).toBeNull();
});

test("what lies above max_drift is no candidate; without a loss the last below it is taken", () => {
  const measured = rows([3, 0.1], [2, 0.2], [1, 0.3]);
  expect(bestStep(measured, { ...NONE, max_drift: 0.25 })).toBe(2);
  const drifts = rows([0, 0.1], [0, 0.2], [0, 0.3]).map(({ eval_loss: _, ...row }) => row as StepMetrics);
  expect(bestStep(drifts, { ...NONE, max_drift: 0.25 })).toBe(2);
  expect(bestStep(drifts, { ...NONE, max_drift: 0.01 })).toBeNull();
});

test("a run ends after so many evaluations without a lower value, and not between two evaluations", () => {
  const patience = { ...NONE, patience: 2 };
  expect(whyOver(rows([3, 0], [2, 0], [2.5, 0]), patience)).toBeNull();
  expect(whyOver(rows([3, 0], [2, 0], [2.5, 0], [2.1, 0]), patience)).toBe(
    "eval_loss has not been lower than at step 2 for 2 evaluations",
  );
  expect(whyOver(rows([3, 0], [2, 0], [2.5, 0], [2.1, 0], null), patience)).toBeNull();
  expect(whyOver(rows([3, 0.1], [2, 0.3]), { ...NONE, max_drift: 0.2 })).toContain(
    "the drift of 0.300 nats per token is above evaluate.max_drift, 0.2",
  );
  expect(whyOver(rows([3, 0.1], [2, 0.3]), NONE)).toBeNull();
});

import { type Coefficient, expectSetting, isWeight, schedule } from "./contract.ts";

/** @file Weights that go by the step alone. A constant one is a number. Steps count from 1, weights are at least 0. */

/** A weight on its way from one value to another. */
export interface Ramp {
  /** The weight of step 1. Default 0. */
  readonly from?: number | undefined;
  /** The weight of step `steps` and of all after it. */
  readonly to: number;
  /** A whole number, at least 2. */
  readonly steps: number;
}

/** Defaults of a ramp. */
export const RAMP_DEFAULTS = { from: 0 } as const;

/**
 * In a line: from + (to − from)·(step − 1) / (steps − 1), then `to`.
 *
 * @throws UserError for weights below 0, or too few steps.
 * @example linearWeight({ from: 0, to: 0.5, steps: 101 }).at(null, 51); // 0.25
 */
export function linearWeight(ramp: Ramp): Coefficient<null> {
  return rampWeight(ramp, (share) => share);
}

/**
 * In half a cosine, slow at both ends: from + (to − from)·(1 − cos(π·(step − 1) / (steps − 1))) / 2, then `to`.
 *
 * @throws UserError for weights below 0, or too few steps.
 * @example cosineWeight({ from: 1, to: 0, steps: 101 }).at(null, 51); // 0.5
 */
export function cosineWeight(ramp: Ramp): Coefficient<null> {
  return rampWeight(ramp, (share) => (1 - Math.cos(Math.PI * share)) / 2);
}

/**
 * Warm-up, as of a learning rate: to·step / steps, then `to`; never 0 unless `to` is.
 *
 * @throws UserError for weights below 0, or too few steps.
 * @example warmupWeight({ to: 0.5, steps: 10 }).at(null, 1); // 0.05
 */
export function warmupWeight({ to, steps }: { readonly to: number; readonly steps: number }): Coefficient<null> {
  checkWeight("to", to);
  checkSteps(steps, 1);
  return schedule((step) => to * Math.min(1, step / steps));
}

/**
 * In lines from point to point [step, weight]; constant before the first and after the last. Two points on neighbouring
 * steps make a jump.
 *
 * @throws UserError unless the steps rise, or for weights below 0.
 * @example piecewiseWeight([[1, 0], [50, 0], [51, 0.5], [300, 0.1]]).at(null, 51); // 0.5
 */
export function piecewiseWeight(points: readonly (readonly [step: number, weight: number])[]): Coefficient<null> {
  expectSetting("points", points, points.length > 0, "at least one [step, weight]");
  for (const [i, [step, weight]] of points.entries()) {
    checkWeight(`the weight of point ${i + 1}`, weight);
    const before = points[i - 1]?.[0] ?? 0;
    expectSetting(
      `the step of point ${i + 1}`,
      step,
      step > before,
      `more than ${before}, since steps count from 1 and rise`,
    );
  }
  return schedule((step) => {
    const next = points.findIndex(([at]) => at >= step);
    if (next === -1) return points.at(-1)![1];
    const [right, end] = points[next]!;
    const [left, start] = points[next - 1] ?? [right, end];
    return left === right ? end : start + ((end - start) * (step - left)) / (right - left);
  });
}

function rampWeight(
  { from = RAMP_DEFAULTS.from, to, steps }: Ramp,
  shape: (share: number) => number,
): Coefficient<null> {
  checkWeight("from", from);
  checkWeight("to", to);
  checkSteps(steps, 2);
  return schedule((step) => from + (to - from) * shape(Math.min(1, (step - 1) / (steps - 1))));
}

function checkWeight(name: string, value: number): void {
  expectSetting(name, value, isWeight(value), "a finite number of at least 0");
}

function checkSteps(steps: number, least: number): void {
  expectSetting("steps", steps, Number.isInteger(steps) && steps >= least, `a whole number of at least ${least}`);
}

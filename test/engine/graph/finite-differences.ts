import { expect } from "vitest";
import type { Random } from "../../../src/common/random.ts";
import { dot, noise, type Tensor64 } from "./tensor64.ts";

const STEP = 2e-4;

/**
 * Expects `gradient` to be that of `loss` at `x`, along a random direction: an error in any of its numbers shows there.
 *
 * The difference has five points, so that its own error is of the order of STEP⁴ ≈ 1e-15.
 */
export function expectGradient(
  loss: (x: Tensor64) => number,
  x: Tensor64,
  gradient: Tensor64,
  random: Random,
  label: string,
): void {
  expect(gradient.shape, label).toEqual(x.shape);
  const direction = noise(random, x.shape);
  const along = (h: number) => loss({ data: x.data.map((value, i) => value + h * direction.data[i]!), shape: x.shape });
  const near = along(STEP) - along(-STEP);
  const far = along(2 * STEP) - along(-2 * STEP);
  const size = gradient.data.reduce((sum, value, i) => sum + Math.abs(value * direction.data[i]!), 0);
  const error = Math.abs((8 * near - far) / (12 * STEP) - dot(gradient, direction));
  expect(error, `${label}: the rule and the difference disagree`).toBeLessThan(1e-8 * (1 + size));
}

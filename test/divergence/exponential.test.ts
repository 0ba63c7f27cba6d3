import { expect, test } from "vitest";
import { exp } from "../../src/divergence/exponential.ts";

test("is within two units in the last place of Math.exp over its whole range", () => {
  let worst = 0;
  for (let z = -708; z <= 709.7; z += 0.0137) worst = Math.max(worst, Math.abs(exp(z) / Math.exp(z) - 1));
  expect(worst).toBeLessThanOrEqual(4.5e-16);
});

test("is exact at 0, and knows the numbers that are none", () => {
  expect(exp(0)).toBe(1);
  expect(exp(Number.NEGATIVE_INFINITY)).toBe(0);
  expect(exp(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  expect(exp(-740)).toBe(Math.exp(-740));
  expect(exp(-800)).toBe(0);
  expect(exp(710)).toBe(Number.POSITIVE_INFINITY);
  expect(exp(Number.NaN)).toBeNaN();
});

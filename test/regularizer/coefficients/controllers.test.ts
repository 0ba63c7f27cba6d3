import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import { adaptiveWeight, budgetWeight, type Coefficient } from "../../../src/regularizer/index.ts";

/** The weight after these KLs, one a step. */
function controlled(weight: Coefficient<number>, ...kls: number[]): number {
  const state = kls.reduce(
    (state, kl_divergence) => weight.update(state, { value: 99, metrics: { kl_divergence } }),
    weight.init(),
  );
  return weight.at(state, kls.length + 1);
}

describe("Ziegler's adaptive controller", () => {
  test("gives the original's numbers: β 0.2, target 6, 256 samples a step, a horizon of 10 000 samples", () => {
    const original = () => adaptiveWeight({ target: 6, initial: 0.2, horizon: 10_000 / 256 });
    expect(original().init()).toBe(0.2);
    expect(controlled(original(), 12)).toBeCloseTo(0.201024, 12);
    expect(controlled(original(), 5)).toBeCloseTo(0.199146667, 9);
    expect(controlled(original(), 6)).toBe(0.2);
  });

  test("the error is cut off at ±0.2, so one wild step changes little", () => {
    const weight = () => adaptiveWeight({ target: 0.1, initial: 1, horizon: 10 });
    expect(controlled(weight(), 1e6)).toBeCloseTo(1.02, 12);
    expect(controlled(weight(), 0)).toBeCloseTo(0.98, 12);
    expect(controlled(weight(), 0.11)).toBeCloseTo(1.01, 12);
  });
});

describe("a budget", () => {
  test("is dual ascent: λ ← max(0, λ + η·(KL − budget)), in nats per token", () => {
    const weight = () => budgetWeight({ budget: 0.1, initial: 0.3, rate: 2 });
    expect(weight().init()).toBe(0.3);
    expect(controlled(weight(), 0.25)).toBeCloseTo(0.6, 12);
    expect(controlled(weight(), 0.25, 0.1, 0.05)).toBeCloseTo(0.5, 12);
    expect(controlled(weight(), 0, 0)).toBe(0);
    // What was saved is not owed: the price rises again at once.
    expect(controlled(weight(), 0, 0, 0, 0, 0.2)).toBeCloseTo(0.2, 12);
  });

  test("multiplicative: λ ← λ·exp(η·(KL / budget − 1)), the exponent at most ±0.5", () => {
    const weight = () => budgetWeight({ budget: 0.1, initial: 0.3, rate: 0.2, update: "multiplicative" });
    expect(controlled(weight(), 0.2)).toBeCloseTo(0.3 * Math.exp(0.2), 12);
    expect(controlled(weight(), 0.05)).toBeCloseTo(0.3 * Math.exp(-0.1), 12);
    expect(controlled(weight(), 100)).toBeCloseTo(0.3 * Math.exp(0.5), 12);
  });

  test("finds the price of a problem whose answer is known", () => {
    // min (x − 1)² subject to x² ≤ 0.25: at x = 0.5 the price is 1, since 2·(x − 1) + λ·2·x = 0.
    for (const update of ["additive", "multiplicative"] as const) {
      const weight = budgetWeight({ budget: 0.25, update, rate: update === "additive" ? 0.5 : 0.1 });
      let price = weight.init();
      for (let step = 1; step <= 300; step++)
        price = weight.update(price, { value: (1 / (1 + weight.at(price, step))) ** 2, metrics: {} });
      expect(price).toBeCloseTo(1, 3);
    }
  });
});

test("a controller goes by the KL, whatever the loss is of it, or else by the value; it must be finite", () => {
  const weight = budgetWeight({ budget: 1, initial: 0, rate: 1 });
  expect(weight.update(0, { value: 50, metrics: { kl_divergence: 3 } })).toBe(2);
  expect(weight.update(0, { value: 5, metrics: {} })).toBe(4);
  expect(() => weight.update(0, { value: Number.NaN, metrics: {} })).toThrow("the value NaN");
});

test("a controller is a function of its state: the same however often it is asked", () => {
  const weight = adaptiveWeight({ target: 0.1, initial: 1 });
  const measured = { value: 0.2, metrics: {} };
  expect(weight.update(1, measured)).toBe(weight.update(1, measured));
  expect(weight.init()).toBe(1);
});

describe("invalid settings are refused", () => {
  test.each<[() => Coefficient<number>, string]>([
    [() => adaptiveWeight({ target: 0 }), "target is 0, expected a finite number above 0"],
    [() => adaptiveWeight({ target: 1, initial: 0 }), "initial is 0, expected a finite number above 0"],
    [() => adaptiveWeight({ target: 1, horizon: -1 }), "horizon is -1, expected a finite number above 0"],
    [() => budgetWeight({ budget: 0 }), "budget is 0, expected a finite number of nats per token above 0"],
    [() => budgetWeight({ budget: 1, rate: 0 }), "rate is 0, expected a finite number above 0"],
    [() => budgetWeight({ budget: 1, initial: -1 }), "initial is -1, expected a finite number of at least 0"],
    [
      () => budgetWeight({ budget: 1, initial: 0, update: "multiplicative" }),
      "initial is 0, expected a finite number > 0: a multiplicative update never leaves 0",
    ],
    [
      () => budgetWeight({ budget: 1, update: "sideways" as "additive" }),
      'update is "sideways", expected additive or multiplicative',
    ],
  ])("%#", (make, message) => {
    expect(make).toThrow(UserError);
    expect(make).toThrow(message);
  });
});

import { describe, expect, expectTypeOf, test } from "vitest";
import {
  type DrawnFromModel,
  drawnFromModel,
  klDivergence,
  type SampledOptions,
  sampledKL,
  type Tensor,
  tensor,
  type WithGradient,
} from "../../src/divergence/index.ts";
import * as oracle from "./oracle.ts";

const ESTIMATORS = ["k1", "k2", "k3"] as const;
const DIRECTIONS = ["p||q", "q||p"] as const;
const list = (numbers: readonly number[]) => tensor(numbers, [numbers.length]);

describe("Schulman's table: the model is N(0, 1)", () => {
  const STEP = 1 / 128;
  const grid = Array.from({ length: 24 * 128 + 1 }, (_, i) => i * STEP - 12);
  const logDensity = (x: number, mean: number) => -((x - mean) ** 2) / 2 - Math.log(2 * Math.PI) / 2;

  test.each([
    [0.1, "k1", 0, 20],
    [0.1, "k2", 0.0025, 1.41774],
    [0.1, "k3", 0, 1.41657],
    [1, "k1", 0, 2],
    [1, "k2", 0.25, 1.73205],
    [1, "k3", 0, 1.69503],
  ] as const)(
    "reference N(%d, 1), %s: bias %d, standard deviation %d, in units of the KL",
    (mean, estimator, bias, std) => {
      const truth = mean ** 2 / 2;
      const weights = grid.map((x) => Math.exp(logDensity(x, 0)) * STEP);
      const { value, perRow } = sampledKL.withGradient(
        drawnFromModel(list(grid.map((x) => logDensity(x, 0)))),
        list(grid.map((x) => logDensity(x, mean))),
        { estimator, weights },
      );
      const variance = weights.reduce((sum, w, i) => sum + w * (perRow.data[i]! - value) ** 2, 0);
      expect(value / truth - 1).toBeCloseTo(bias, 4);
      expect(Math.sqrt(variance) / truth).toBeCloseTo(std, 4);
    },
  );
});

/** The model's softmax, its reference, and estimates of every token weighed by how often the model draws it. */
const P = [0.4, 0.3, 0.2, 0.1];
const Q = [0.15, 0.25, 0.25, 0.35];
const everyToken = (options: SampledOptions): WithGradient =>
  sampledKL.withGradient(drawnFromModel(list(P.map(Math.log))), list(Q.map(Math.log)), { ...options, weights: P });

/** Σ p(x)·coefficient(x)·d log p(x) / d logits: what the coefficients come to on average, at the logits. */
const expectedGradient = (coefficients: readonly number[]) =>
  P.map((p, v) => P.reduce((sum, px, x) => sum + px * coefficients[x]! * ((x === v ? 1 : 0) - p), 0));

describe.each(DIRECTIONS)("enumerated over what the model may draw, %s", (direction) => {
  const whole = klDivergence.withGradient(oracle.logprobs([P]), oracle.logprobs([Q]), { direction });

  test.each(ESTIMATORS)("%s: the expected gradient is the whole vocabulary's", (estimator) => {
    const { gradient } = everyToken({ direction, estimator, reduction: "none" });
    for (const [i, g] of expectedGradient([...gradient.data]).entries())
      expect(g).toBeCloseTo(whole.gradient.data[i]!, 6);
  });

  test.each(["k1", "k3"] as const)("%s: the expected value is the KL", (estimator) => {
    expect(everyToken({ direction, estimator }).value).toBeCloseTo(whole.value, 6);
  });

  test("k2: the expected value is near, and is not", () => {
    const { value } = everyToken({ direction, estimator: "k2" });
    expect(Math.abs((value as number) / whole.value - 1)).toBeGreaterThan(1e-3);
    expect(Math.abs((value as number) / whole.value - 1)).toBeLessThan(0.3);
  });

  test("k2 and k3 are never negative, k1 is", () => {
    const lowest = (estimator: (typeof ESTIMATORS)[number]) =>
      Math.min(...everyToken({ direction, estimator }).perRow.data);
    expect(lowest("k1")).toBeLessThan(0);
    expect(lowest("k2")).toBeGreaterThanOrEqual(0);
    expect(lowest("k3")).toBeGreaterThanOrEqual(0);
  });
});

describe("the plain derivative of the estimators of KL(p‖q), which is not offered, comes to", () => {
  const derivative = (estimator: (typeof ESTIMATORS)[number]) =>
    P.map((p, x) => {
      const value = (l: readonly number[]) =>
        ({
          k1: l[0]! - Math.log(Q[x]!),
          k2: (l[0]! - Math.log(Q[x]!)) ** 2 / 2,
          k3: Q[x]! / Math.exp(l[0]!) - 1 + l[0]!,
        })[estimator];
      return oracle.numericalGradient(value, [Math.log(p)])[0]!;
    });
  const of = (direction: "p||q" | "q||p") => [
    ...klDivergence.withGradient(oracle.logprobs([P]), oracle.logprobs([Q]), { direction }).gradient.data,
  ];
  test.each([
    ["k1", "0", [0, 0, 0, 0]],
    ["k2", "that of KL(p‖q)", of("p||q")],
    ["k3", "that of KL(q‖p)", of("q||p")],
  ] as const)("%s: %s", (estimator, _, expected) => {
    for (const [i, g] of expectedGradient(derivative(estimator)).entries()) expect(g).toBeCloseTo(expected[i]!, 6);
  });
});

describe("from a dataset's tokens, wrongly declared,", () => {
  test("an average of k1 is not the KL, and may be negative", () => {
    const dataset = [0, 0, 0.1, 0.9];
    const value = sampledKL(drawnFromModel(list(P.map(Math.log))), list(Q.map(Math.log)), {
      estimator: "k1",
      weights: dataset,
    });
    expect(value).toBeLessThan(-1);
  });
});

describe("digits", () => {
  const at = (d: number, options: SampledOptions) =>
    sampledKL(drawnFromModel(list([0])), list([-d]), options) as number;

  test("k3 of a log-ratio of 1e-4 is 4.99983e-9, where float32 exp(x) − 1 − x would be 0", () => {
    expect(at(1e-4, { estimator: "k3" }) / 4.99983e-9).toBeCloseTo(1, 5);
    expect(at(1e-4, { estimator: "k3", direction: "q||p" }) / (0.5e-8 * (1 - 2e-4 / 3))).toBeCloseTo(1, 4);
    for (const direction of DIRECTIONS) expect(at(1e-7, { estimator: "k3", direction }) / 0.5e-14).toBeCloseTo(1, 5);
    expect(at(0.5, {})).toBe(at(0.5, { estimator: "k3", direction: "p||q" }));
    const tiny = sampledKL.withGradient(drawnFromModel(list([0])), list([-1e-12]), { direction: "q||p" });
    expect(tiny.gradient.data[0]! / 1e-12).toBeCloseTo(1, 6);
  });

  test("equal log-probabilities give 0, in value and gradient", () => {
    for (const estimator of ESTIMATORS) {
      for (const direction of DIRECTIONS) {
        const same = list([-0.5, -3, -20]);
        const { value, gradient } = sampledKL.withGradient(drawnFromModel(same), same, { estimator, direction });
        expect(Math.abs(value)).toBe(0);
        for (const g of gradient.data) expect(Math.abs(g)).toBe(0);
      }
    }
  });

  test("a token that the reference rules out is +∞ for KL(model‖reference), and finite for the other", () => {
    const none = Number.POSITIVE_INFINITY;
    for (const estimator of ESTIMATORS) expect(at(none, { estimator })).toBe(none);
    expect(at(none, { estimator: "k1", direction: "q||p" })).toBe(0);
    expect(at(none, { estimator: "k3", direction: "q||p" })).toBe(1);
  });

  test("KL(q‖p) of a token that the reference has and the model hardly: +∞, not NaN", () => {
    for (const estimator of ["k1", "k3"] as const) {
      const options = { estimator, direction: "q||p" } as const;
      expect(sampledKL(drawnFromModel(list([-1000])), list([-1]), options)).toBe(Number.POSITIVE_INFINITY);
    }
  });

  test("the gradient of KL(q‖p) does not depend on the estimator, also where the reference rules a token out", () => {
    for (const estimator of ESTIMATORS) {
      const impossible = list([Number.NEGATIVE_INFINITY]);
      const options = { estimator, direction: "q||p" } as const;
      const { gradient } = sampledKL.withGradient(drawnFromModel(list([-1])), impossible, options);
      expect([...gradient.data]).toEqual([1]);
    }
  });

  test("NaN in, NaN out", () => {
    for (const estimator of ESTIMATORS)
      for (const direction of DIRECTIONS) {
        const found = sampledKL.withGradient(drawnFromModel(list([Number.NaN, -1])), list([-1, -1]), {
          estimator,
          direction,
        });
        expect(found.value).toBeNaN();
        expect([...found.gradient.data].map(Number.isNaN)).toEqual([true, false]);
      }
  });
});

test("rows are weighed, reduced and written as over the whole vocabulary", () => {
  const p = drawnFromModel(tensor([-1, -2, -3, -4], [2, 2]));
  const q = tensor([-1.5, -9, -2, -4.5], [2, 2]);
  const weights = [1, 0, 2, 1];
  const found = sampledKL.withGradient(p, q, { estimator: "k1", weights });
  expect(found.value).toBeCloseTo((0.5 - 2 + 0.5) / 4, 6);
  expect([...found.gradient.data]).toEqual([0.125, 0, -0.5, 0.125]);
  expect(found.gradient.shape).toEqual([2, 2]);
  expect(found.perRow.shape).toEqual([2, 2]);
  expect(sampledKL(p, q, { estimator: "k1", weights, reduction: "sum" })).toBeCloseTo(-1, 6);
  const sum = tensor([1, 1, 1, 1], [2, 2]);
  expect(sampledKL.withGradient(p, q, { weights, addTo: { gradient: sum, scale: 2 } }).gradient).toBe(sum);
  expect([...sum.data]).toEqual([1.25, 1, 0, 1.25]);
  const out = { gradient: tensor([7, 7, 7, 7], [2, 2]) };
  expect(sampledKL.withGradient(p, q, { weights, out }).gradient.data).toBe(out.gradient.data);
  expect([...out.gradient.data]).toEqual([0.125, 0, -0.5, 0.125]);
});

describe("tokens that are not marked as drawn from the model", () => {
  test("do not have the type", () => {
    expectTypeOf<Tensor>().not.toExtend<DrawnFromModel>();
    expectTypeOf<{ logprobs: Tensor }>().not.toExtend<DrawnFromModel>();
    expectTypeOf(sampledKL).parameter(0).toEqualTypeOf<DrawnFromModel>();
    expectTypeOf(drawnFromModel).returns.toEqualTypeOf<DrawnFromModel>();
  });

  test.each([
    ["a tensor", list([-1])],
    ["something that looks like them", { logprobs: list([-1]) }],
    ["nothing", null],
  ])("are refused with the reason: %s", (_, p) => {
    const estimate = sampledKL as (p: unknown, q: unknown) => number;
    expect(() => estimate(p, list([-1]))).toThrow(TypeError);
    expect(() => estimate(p, list([-1]))).toThrow(
      "over a dataset's tokens k1, k2 and k3 do not estimate a KL; mark the model's own samples with drawnFromModel(logprobs)",
    );
  });

  test.each([
    [() => drawnFromModel(list([-1, Number.NEGATIVE_INFINITY])), "the log-probability of drawn token 1 is -Infinity"],
    [() => drawnFromModel(list([0.5])), "the log-probability of drawn token 0 is 0.5"],
    [() => sampledKL(drawnFromModel(list([-1])), list([-1, -2])), "p is [1] and q [2]"],
    [() => sampledKL(drawnFromModel(list([-1])), list([-1]), { estimator: "k4" as "k1" }), 'estimator is "k4"'],
    [() => sampledKL(drawnFromModel(list([-1])), list([-1]), { direction: "back" as "q||p" }), 'direction is "back"'],
  ])("other mistakes: %#", (act, message) => {
    expect(act).toThrow(RangeError);
    expect(act).toThrow(message);
  });
});

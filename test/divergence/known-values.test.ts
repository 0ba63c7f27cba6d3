import { describe, expect, test } from "vitest";
import {
  crossEntropy,
  entropy,
  jeffreys,
  jensenShannon,
  klDivergence,
  logSoftmax,
  renyi,
  tensor,
  totalVariation,
} from "../../src/divergence/index.ts";
import { logprobs, matrix } from "./oracle.ts";

/**
 * @file Numbers computed elsewhere: by SciPy (scripts/fixtures/known-values.py), and from published papers. Inputs are
 * float32, so 7 digits after the point are theirs.
 */

const DIGITS = 7;
const P = logprobs([[0.4, 0.3, 0.2, 0.1]]);
const UNIFORM = logprobs([[0.25, 0.25, 0.25, 0.25]]);

describe("[.4, .3, .2, .1] against uniform", () => {
  test.each([
    ["KL(p‖q)", klDivergence(P, UNIFORM), 0.1064401353],
    ["KL(q‖p)", klDivergence(P, UNIFORM, { direction: "q||p" }), 0.1217772743],
    ["KL(q‖p), by exchanging the sides", klDivergence(UNIFORM, P), 0.1217772743],
    ["Jeffreys / 2", jeffreys(P, UNIFORM), 0.1141087048],
    ["Jensen–Shannon", jensenShannon(P, UNIFORM), 0.0278656135],
    ["symmetric", klDivergence(P, UNIFORM, { symmetric: true }), 0.0278656135],
    ["Rényi ½", renyi(P, UNIFORM, { alpha: 0.5 }), 0.0571904986],
    ["Rényi 2", renyi(P, UNIFORM, { alpha: 2 }), 0.1823215568],
    ["total variation", totalVariation(P, UNIFORM), 0.2],
  ])("%s", (_, found, expected) => {
    expect(found).toBeCloseTo(expected, DIGITS);
  });

  test.each([
    ["p||q", [0.1454254, 0.0227644, -0.0659167, -0.1022731]],
    ["q||p", [0.15, 0.05, -0.05, -0.15]],
  ] as const)("gradient of the %s KL with respect to the logits", (direction, expected) => {
    const { gradient } = klDivergence.withGradient(P, UNIFORM, { direction });
    for (const [i, value] of expected.entries()) expect(gradient.data[i]).toBeCloseTo(value, DIGITS);
  });
});

test("[.4, .3, .3] against [.25, .25, .5]", () => {
  const [p, q] = [logprobs([[0.4, 0.3, 0.3]]), logprobs([[0.25, 0.25, 0.5]])];
  expect(klDivergence(p, q)).toBeCloseTo(0.0894502316, DIGITS);
  expect(klDivergence(p, q, { direction: "q||p" })).toBeCloseTo(0.0923315154, DIGITS);
});

test("disjoint supports: Jensen–Shannon is the entropy of the coin, KL is infinite", () => {
  const [p, q] = [logprobs([[1, 0]]), logprobs([[0, 1]])];
  expect(jensenShannon(p, q)).toBeCloseTo(Math.LN2, 12);
  expect(jensenShannon(p, q, { beta: 0.1 })).toBeCloseTo(0.3250829734, 9);
  expect(jensenShannon(p, q, { beta: 0.9 })).toBeCloseTo(0.3250829734, 9);
  expect(klDivergence(p, q)).toBe(Number.POSITIVE_INFINITY);
  expect(totalVariation(p, q)).toBe(1);
});

test("a partial sum over the top token is negative where the whole is not (.6/.4 against .9/.1)", () => {
  expect(klDivergence(logprobs([[0.6, 0.4]]), logprobs([[0.9, 0.1]]))).toBeCloseTo(0.3112386796, DIGITS);
});

test("merging outcomes into a tail only lowers a divergence: .1902 over six, .0880 over two and the rest", () => {
  const [p, q] = [
    [0.5, 0.2, 0.1, 0.1, 0.06, 0.04],
    [0.3, 0.3, 0.1, 0.05, 0.05, 0.2],
  ];
  const tail = ([a, b]: readonly number[]) => [a!, b!, 1 - a! - b!];
  expect(klDivergence(logprobs([p]), logprobs([q]))).toBeCloseTo(0.1901962852, DIGITS);
  expect(klDivergence(logprobs([tail(p)]), logprobs([tail(q)]))).toBeCloseTo(0.0880151685, DIGITS);
});

test("Gaussians, on a fine grid: N(0, 1) and N(1, 2²)", () => {
  const grid = Array.from({ length: 4001 }, (_, i) => (i - 2000) / 100);
  const standard = matrix([grid.map((x) => -(x ** 2) / 2)]);
  const wide = matrix([grid.map((x) => -((x - 1) ** 2) / 8)]);
  expect(klDivergence(standard, wide, { input: "logits" })).toBeCloseTo(0.4431471806, 6);
  expect(klDivergence(wide, standard, { input: "logits" })).toBeCloseTo(1.3068528194, 6);
});

test("high temperature: T²·KL goes to half the variance of the logits' difference", () => {
  const [z, y] = [
    [1, -0.5, 0.25, 2],
    [0.5, 0.75, -1, 1],
  ];
  const difference = z.map((x, i) => x - y[i]!);
  const mean = difference.reduce((a, b) => a + b) / 4;
  const variance = difference.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 4;
  const temperature = 1e4;
  const value = klDivergence(matrix([z]), matrix([y]), { input: "logits", temperature });
  expect(temperature ** 2 * value).toBeCloseTo(variance / 2, 3);
});

test("Fisher: KL(p‖p + δ) is ½ δᵀ(diag p − p·pᵀ)δ for small δ, down where differences of numbers near 1 drown", () => {
  const z = [0.5, -1, 2, 0.25];
  const delta = [2 ** -12, -(2 ** -11), 2 ** -13, 0];
  const shifted = z.map((x, i) => x + delta[i]!);
  const p = [...logSoftmax(matrix([z])).data].map(Math.exp);
  const mean = p.reduce((sum, p, i) => sum + p * delta[i]!, 0);
  const half = p.reduce((sum, p, i) => sum + p * (delta[i]! - mean) ** 2, 0) / 2;
  expect(klDivergence(matrix([z]), matrix([shifted]), { input: "logits" }) / half).toBeCloseTo(1, 3);
  expect(jensenShannon(matrix([z]), matrix([shifted]), { input: "logits" }) / half).toBeCloseTo(1 / 4, 3);
});

test("Rényi goes to KL as alpha goes to 1", () => {
  const options = { input: "logits" } as const;
  const kl = klDivergence(P, UNIFORM, options);
  expect(renyi(P, UNIFORM, { ...options, alpha: 1 })).toBe(kl);
  for (const alpha of [1 - 1e-9, 1 + 1e-9]) {
    expect(renyi(P, UNIFORM, { ...options, alpha })).toBeCloseTo(kl, 8);
    const near = renyi.withGradient(P, UNIFORM, { ...options, alpha }).gradient.data;
    const limit = klDivergence.withGradient(P, UNIFORM, options).gradient.data;
    for (const [i, value] of near.entries()) expect(value).toBeCloseTo(limit[i]!, 7);
  }
});

test("entropy, cross-entropy and log-softmax", () => {
  expect(entropy(P)).toBeCloseTo(1.2798542258, DIGITS);
  expect(entropy(UNIFORM)).toBeCloseTo(Math.log(4), DIGITS);
  expect(crossEntropy(P, { data: Int32Array.of(2), shape: [1] })).toBeCloseTo(-Math.log(0.2), DIGITS);
  expect(logSoftmax(tensor([1000, 1000, -3e38], [1, 3])).data).toEqual(Float32Array.of(-Math.LN2, -Math.LN2, -3e38));
});

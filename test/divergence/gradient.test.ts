import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import {
  crossEntropy,
  entropy,
  type Input,
  jeffreys,
  jensenShannon,
  klDivergence,
  logSoftmax,
  type Reduction,
  renyi,
  type Tensor,
  totalVariation,
  type WithGradient,
} from "../../src/divergence/index.ts";
import * as oracle from "./oracle.ts";

/** @file Every divergence × input × temperature × reduction: value = definition, gradient = its finite differences in float64. */

interface Options {
  readonly input: Input | { readonly p: Input; readonly q: Input };
  readonly temperature: number;
  readonly reduction: Reduction;
  readonly weights: readonly number[];
  readonly epsilon?: number;
}

interface Case {
  readonly name: string;
  readonly definition: (p: number[], q: number[]) => number;
  readonly withGradient: (p: Tensor, q: Tensor, options: Options) => WithGradient;
}

const TARGETS = { data: Int32Array.of(2, 0, 4), shape: [3] };

const CASES: Case[] = [
  { name: "KL(p‖q)", definition: oracle.kl, withGradient: klDivergence.withGradient },
  {
    name: "KL(q‖p)",
    definition: (p, q) => oracle.kl(q, p),
    withGradient: (p, q, options) => klDivergence.withGradient(p, q, { ...options, direction: "q||p" }),
  },
  {
    name: "symmetric KL",
    definition: oracle.jensenShannon,
    withGradient: (p, q, options) => klDivergence.withGradient(p, q, { ...options, symmetric: true }),
  },
  {
    name: "KL(p‖q) of a smoothed q",
    definition: (p, q) => oracle.kl(p, oracle.smooth(q, 0.05)),
    withGradient: (p, q, options) => klDivergence.withGradient(p, q, { ...options, epsilon: 0.05 }),
  },
  { name: "Jeffreys", definition: oracle.jeffreys, withGradient: jeffreys.withGradient },
  { name: "total variation", definition: oracle.totalVariation, withGradient: totalVariation.withGradient },
  ...[0.1, 0.5, 0.8].map((beta) => ({
    name: `Jensen–Shannon ${beta}`,
    definition: (p: number[], q: number[]) => oracle.jensenShannon(p, q, beta),
    withGradient: (p: Tensor, q: Tensor, options: Options) => jensenShannon.withGradient(p, q, { ...options, beta }),
  })),
  ...[0, 0.3, 0.999, 1.0001, 2, 7.5].map((alpha) => ({
    name: `Rényi ${alpha}`,
    definition: (p: number[], q: number[]) => oracle.renyi(p, q, alpha),
    withGradient: (p: Tensor, q: Tensor, options: Options) => renyi.withGradient(p, q, { ...options, alpha }),
  })),
  { name: "entropy", definition: oracle.entropy, withGradient: (p, _, options) => entropy.withGradient(p, options) },
];

const random = createRandom(7);
const rows = (scale: number) =>
  Array.from({ length: 3 }, () => Array.from({ length: 5 }, () => scale * (random() - 0.5)));
const WEIGHTS = [0.5, 0, 2];

describe.each(["logprobs", "logits", "logits and logprobs"] as const)("from %s", (from) => {
  const input = from === "logits and logprobs" ? ({ p: "logits", q: "logprobs" } as const) : from;
  describe.each([1, 0.5, 3])("at temperature %d", (temperature) => {
    describe.each(["mean", "sum", "none"] as const)("reduced to %s", (reduction) => {
      test.each(CASES)("$name", ({ definition, withGradient }) => {
        const read = (as: Input, z: number[][]) => (as === "logits" ? oracle.matrix(z) : logSoftmax(oracle.matrix(z)));
        const sides = typeof input === "string" ? { p: input, q: input } : input;
        const [p, q] = [read(sides.p, rows(4)), read(sides.q, rows(4))];
        const found = withGradient(p, q, { input, temperature, reduction, weights: WEIGHTS });
        const row = ({ data }: Tensor, r: number) => [...data.subarray(r * 5, r * 5 + 5)];
        const value = (r: number) => (z: readonly number[]) =>
          definition(
            oracle.softmax(z.map((x) => x / temperature)),
            oracle.softmax(row(q, r).map((x) => x / temperature)),
          );
        const share = { mean: (w: number) => w / 2.5, sum: (w: number) => w, none: (w: number) => (w === 0 ? 0 : 1) }[
          reduction
        ];
        let total = 0;
        for (const [r, weight] of WEIGHTS.entries()) {
          const here = weight === 0 ? 0 : value(r)(row(p, r));
          expect(found.perRow.data[r]).toBeCloseTo(here, 6);
          total += share(weight) * here;
          const wanted = oracle.numericalGradient(value(r), row(p, r));
          row(found.gradient, r).forEach((g, i) => {
            expect(Math.abs(g - share(weight) * wanted[i]!)).toBeLessThan(1e-6 * Math.max(1, Math.abs(g)));
          });
        }
        if (reduction === "none") expect(found.value).toBe(found.perRow);
        else expect(Math.abs((found.value as number) - total)).toBeLessThan(1e-11);
      });
    });
  });

  test("cross-entropy at target tokens", () => {
    const z = oracle.matrix(rows(6));
    const p = input === "logprobs" ? logSoftmax(z) : z;
    const { value, gradient } = crossEntropy.withGradient(p, TARGETS, { input, weights: WEIGHTS });
    let total = 0;
    for (const [r, weight] of WEIGHTS.entries()) {
      const row = [...p.data.subarray(r * 5, r * 5 + 5)];
      const surprise = (z: readonly number[]) => -Math.log(oracle.softmax(z)[TARGETS.data[r]!]!);
      total += (weight * surprise(row)) / 2.5;
      oracle.numericalGradient(surprise, row).forEach((wanted, i) => {
        expect(gradient.data[r * 5 + i]).toBeCloseTo((weight * wanted) / 2.5, 6);
      });
    }
    expect(value).toBeCloseTo(total, 12);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  crossEntropy,
  entropy,
  jeffreys,
  jensenShannon,
  klDivergence,
  logSoftmax,
  renyi,
  type Tensor,
  totalVariation,
  type WithGradient,
} from "../../src/divergence/index.ts";

/** @file What must hold for any logits: one row or many, one outcome or many, none of them special. */

interface Batch {
  readonly p: Tensor;
  readonly q: Tensor;
  readonly weights: number[];
}

/** Two batches of logits of one shape, wild ones and impossible outcomes among them, with weights of which some are 0. */
const batch: fc.Arbitrary<Batch> = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 9 }))
  .chain(([rows, size]) => {
    const logit = fc.oneof(fc.float({ min: -8, max: 8, noNaN: true }), fc.float({ min: -500, max: 500, noNaN: true }));
    // The first outcome is always possible, so that each row is a distribution.
    const row = fc.tuple(
      logit,
      fc.array(fc.oneof({ weight: 9, arbitrary: logit }, fc.constant(Number.NEGATIVE_INFINITY)), {
        minLength: size - 1,
        maxLength: size - 1,
      }),
    );
    const logits = fc.array(row, { minLength: rows, maxLength: rows }).map(
      (all): Tensor => ({
        data: Float32Array.from(all.flatMap(([first, others]) => [first, ...others])),
        shape: [rows, size],
      }),
    );
    const weight = fc.oneof(fc.constant(0), fc.float({ min: Math.fround(0.01), max: 4, noNaN: true }));
    return fc.record({ p: logits, q: logits, weights: fc.array(weight, { minLength: rows, maxLength: rows }) });
  });

type Options = Parameters<typeof klDivergence.withGradient>[2] & {
  weights?: number[];
  totalWeight?: number;
  reduction?: "mean" | "sum" | "none";
};
type Function = (p: Tensor, q: Tensor, options?: Options) => WithGradient;

const DIVERGENCES: Record<string, Function> = {
  "KL(p‖q)": (p, q, options) => klDivergence.withGradient(p, q, { ...options, input: "logits" }),
  "KL(q‖p)": (p, q, options) => klDivergence.withGradient(p, q, { ...options, input: "logits", direction: "q||p" }),
  "Jensen–Shannon": (p, q, options) => jensenShannon.withGradient(p, q, { ...options, input: "logits" }),
  "skewed Jensen–Shannon": (p, q, options) =>
    jensenShannon.withGradient(p, q, { ...options, input: "logits", beta: 0.2 }),
  Jeffreys: (p, q, options) => jeffreys.withGradient(p, q, { ...options, input: "logits" }),
  "total variation": (p, q, options) => totalVariation.withGradient(p, q, { ...options, input: "logits" }),
  "Rényi ½": (p, q, options) => renyi.withGradient(p, q, { ...options, input: "logits", alpha: 0.5 }),
  "Rényi 3": (p, q, options) => renyi.withGradient(p, q, { ...options, input: "logits", alpha: 3 }),
};

const slice = ({ data, shape }: Tensor, from: number, to: number): Tensor => ({
  data: data.slice(from * shape[1]!, to * shape[1]!),
  shape: [to - from, shape[1]!],
});
const close = (a: number, b: number, tolerance = 1e-9) =>
  a === b || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b));
const hold = (property: (batch: Batch) => void) => fc.assert(fc.property(batch, property), { numRuns: 150 });

describe.each(Object.entries(DIVERGENCES))("%s", (name, divergence) => {
  test("is at least 0 and never NaN", () => {
    hold(({ p, q }) => {
      for (const value of divergence(p, q).perRow.data) expect(value).toBeGreaterThanOrEqual(0);
    });
  });

  test("is 0 at equality, in value and gradient", () => {
    hold(({ p }) => {
      const { value, gradient } = divergence(p, p);
      expect(value).toBeLessThan(1e-12);
      for (const g of gradient.data) expect(Math.abs(g)).toBeLessThan(1e-12);
    });
  });

  test("its gradient sums to 0 in each row: adding a constant to all logits changes nothing", () => {
    hold(({ p, q }) => {
      const { perRow, gradient } = divergence(p, q, { reduction: "none" });
      perRow.data.forEach((value, r) => {
        const row = slice(gradient, r, r + 1).data;
        const scale = row.reduce((most, g) => Math.max(most, Math.abs(g)), 1);
        if (Number.isFinite(value)) expect(Math.abs(row.reduce((sum, g) => sum + g, 0)) / scale).toBeLessThan(1e-5);
        else for (const g of row) expect(g).toBeNaN();
      });
    });
  });

  test("in chunks is the same as whole, value and gradient", () => {
    hold(({ p, q, weights }) => {
      const whole = divergence(p, q, { weights });
      const totalWeight = weights.reduce((sum, w) => sum + w, 0);
      for (let at = 0; at <= weights.length; at++) {
        const parts = [[0, at] as const, [at, weights.length] as const].map(([from, to]) =>
          divergence(slice(p, from, to), slice(q, from, to), { weights: weights.slice(from, to), totalWeight }),
        );
        expect(close((parts[0]!.value as number) + (parts[1]!.value as number), whole.value as number)).toBe(true);
        expect(Float32Array.of(...parts.flatMap(({ gradient }) => [...gradient.data]))).toEqual(whole.gradient.data);
      }
    });
  });

  test("does not read rows of weight 0, which have no gradient", () => {
    hold(({ p, q, weights }) => {
      const size = p.shape[1]!;
      const spoilt = {
        data: p.data.map((x, i) => (weights[Math.floor(i / size)] === 0 ? Number.NaN : x)),
        shape: p.shape,
      };
      const [clean, masked] = [divergence(p, q, { weights }), divergence(spoilt, q, { weights })];
      expect(masked).toEqual(clean);
      for (const [r, weight] of weights.entries()) {
        if (weight !== 0) continue;
        expect(masked.perRow.data[r]).toBe(0);
        for (const g of slice(masked.gradient, r, r + 1).data) expect(g).toBe(0);
      }
    });
  });

  test("does not depend on the order of the outcomes", () => {
    hold(({ p, q }) => {
      const backwards = ({ data, shape }: Tensor): Tensor => ({
        data: data.map((_, i) => data[i - (i % shape[1]!) + shape[1]! - 1 - (i % shape[1]!)]!),
        shape,
      });
      const [one, other] = [divergence(p, q), divergence(backwards(p), backwards(q))];
      expect(close(one.value as number, other.value as number)).toBe(true);
      // Where p = q up to rounding, the order of summation decides which of its subgradients total variation has.
      if (name === "total variation") return;
      backwards(other.gradient).data.forEach((g, i) => {
        expect(Number.isNaN(g) ? Number.isNaN(one.gradient.data[i]) : close(g, one.gradient.data[i]!, 1e-6)).toBe(true);
      });
    });
  });

  test("mean = sum / Σ weights, and the rows add up to the sum", () => {
    hold(({ p, q, weights }) => {
      const total = weights.reduce((sum, w) => sum + w, 0);
      const [mean, sum, none] = (["mean", "sum", "none"] as const).map((reduction) =>
        divergence(p, q, { weights, reduction }),
      );
      expect(close(mean!.value as number, total === 0 ? 0 : (sum!.value as number) / total)).toBe(true);
      const added = weights.reduce((all, w, r) => (w === 0 ? all : all + w * (none!.value as Tensor).data[r]!), 0);
      expect(close(added, sum!.value as number, 1e-6)).toBe(true);
    });
  });

  test("added to a sum is the same as on its own, times the scale", () => {
    hold(({ p, q, weights }) => {
      const alone = divergence(p, q, { weights }).gradient.data;
      const sum = { data: new Float32Array(alone.length).fill(2), shape: p.shape };
      expect(divergence(p, q, { weights, addTo: { gradient: sum, scale: 0 } } as Options).gradient).toBe(sum);
      expect(sum.data.every((x) => x === 2)).toBe(true);
      divergence(p, q, { weights, addTo: { gradient: sum, scale: 0.5 } } as Options);
      sum.data.forEach((x, i) => {
        expect(Number.isNaN(x) ? Number.isNaN(alone[i]) : close(x, 2 + 0.5 * alone[i]!, 1e-6)).toBe(true);
      });
    });
  });
});

const logits = { input: "logits" } as const;

test("symmetric ones are symmetric, and bounded where they say so", () => {
  hold(({ p, q }) => {
    for (const divergence of [jensenShannon, jeffreys, totalVariation]) {
      expect(close(divergence(p, q, logits), divergence(q, p, logits))).toBe(true);
    }
    expect(klDivergence(p, q, { ...logits, symmetric: true })).toBe(jensenShannon(p, q, logits));
    expect(jensenShannon(p, q, logits)).toBeLessThanOrEqual(Math.LN2 + 1e-12);
    expect(totalVariation(p, q, logits)).toBeLessThanOrEqual(1 + 1e-12);
    for (const beta of [0, 1]) expect(jensenShannon(p, q, { ...logits, beta })).toBe(0);
  });
});

test("the skewed Jensen–Shannon is at most the entropy of its coin, and continuous at its ends", () => {
  hold(({ p, q }) => {
    const at = (beta: number) => jensenShannon(p, q, { ...logits, beta });
    expect(at(0.1)).toBeLessThanOrEqual(-0.1 * Math.log(0.1) - 0.9 * Math.log(0.9) + 1e-12);
    for (const beta of [1e-6, 1 - 1e-6]) expect(at(beta)).toBeLessThan(2e-5);
  });
});

test("a reference that was rounded on its way through a file is a distribution again: no KL from it is negative", () => {
  hold(({ p }) => {
    const whole = logSoftmax(p);
    const rounded = { data: whole.data.map((x) => Math.round(x * 2000) / 2000), shape: whole.shape };
    for (const direction of ["p||q", "q||p"] as const) {
      for (const value of klDivergence(whole, rounded, { direction, reduction: "none" }).data)
        expect(value).toBeGreaterThanOrEqual(0);
    }
  });
});

test("Pinsker: 2·TV² ≤ KL, row by row", () => {
  hold(({ p, q }) => {
    const none = { ...logits, reduction: "none" } as const;
    const [kl, tv] = [klDivergence(p, q, none), totalVariation(p, q, none)];
    kl.data.forEach((value, r) => {
      expect(2 * tv.data[r]! ** 2).toBeLessThanOrEqual(value + 1e-6);
    });
  });
});

test("Rényi grows with its order", () => {
  hold(({ p, q }) => {
    const values = [0, 0.5, 0.99, 1, 1.01, 2, 8].map((alpha) => renyi(p, q, { ...logits, alpha }));
    for (let i = 1; i < values.length; i++)
      expect(values[i]).toBeGreaterThanOrEqual(values[i - 1]! * (1 - 1e-9) - 1e-12);
  });
});

test("cross-entropy at a token drawn from q costs, on average, entropy of q plus KL(q‖p)", () => {
  hold(({ p, q }) => {
    const [rows, size] = p.shape as [number, number];
    for (let r = 0; r < rows; r++) {
      const [one, other] = [slice(p, r, r + 1), slice(q, r, r + 1)];
      const kl = klDivergence(one, other, { ...logits, direction: "q||p" });
      let mean = 0;
      for (let token = 0; token < size; token++) {
        const targets = { data: Int32Array.of(token), shape: [1] };
        const probability = Math.exp(-crossEntropy(other, targets, logits));
        if (probability > 0) mean += probability * crossEntropy(one, targets, logits);
      }
      expect(close(mean, kl + entropy(other, logits))).toBe(true);
    }
  });
});

test("one outcome: every divergence is 0; no rows, or none that count: 0 too", () => {
  const of = (data: number[], shape: number[]): Tensor => ({ data: Float32Array.from(data), shape });
  for (const divergence of Object.values(DIVERGENCES)) {
    expect(divergence(of([3, 4], [2, 1]), of([-1, 9], [2, 1])).value).toBe(0);
    expect(divergence(of([], [0, 4]), of([], [0, 4])).value).toBe(0);
    expect(divergence(of([1, 2], [1, 2]), of([2, 1], [1, 2]), { weights: [0] }).value).toBe(0);
  }
});

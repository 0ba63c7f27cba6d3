import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  jensenShannon,
  klDivergence,
  logSoftmax,
  selectTopK,
  type Tensor,
  type TopK,
  tensor,
} from "../../src/divergence/index.ts";
import { KernelRows } from "../../src/divergence/kernel/kernel-rows.ts";
import type { TopKWithGradient } from "../../src/divergence/supports/over-top-k.ts";

/** Random rows [rows, V]: flat, sharp, and some so sharp that what is far off has no probability in float32. */
function rows(count: number, size: number, seed: number, scale: number): Tensor {
  const data = Float32Array.from({ length: count * size }, (_, i) => scale * Math.sin(seed + i * i + (i % 7)));
  return logSoftmax(tensor(data, [count, size]));
}

const cases = fc.record({
  size: fc.integer({ min: 65, max: 400 }),
  k: fc.integer({ min: 1, max: 64 }),
  seed: fc.nat(1000),
  scaleP: fc.constantFrom(0.1, 3, 20, 90),
  scaleQ: fc.constantFrom(0.1, 3, 20),
  clip: fc.constantFrom(Number.POSITIVE_INFINITY, 0.5),
  scale: fc.constantFrom(1, -0.3, 0),
});

type Found = Pick<TopKWithGradient<"mean">, "value" | "clippedShare" | "coverage"> & {
  gradient: Tensor;
  perRow: Tensor;
};

type Compute = (p: Tensor, q: TopK, options: object) => Found;

const FUNCTIONS: [string, Compute][] = [
  ["KL(model‖reference)", (p, q, options) => klDivergence.withGradient<"mean", TopK>(p, q, options)],
  [
    "KL(reference‖model)",
    (p, q, options) => klDivergence.withGradient<"mean", TopK>(p, q, { ...options, direction: "q||p" }),
  ],
  ["Jensen–Shannon", (p, q, options) => jensenShannon.withGradient<"mean", TopK>(p, q, { ...options, beta: 0.3 })],
];

afterEach(() => vi.restoreAllMocks());

describe.each(FUNCTIONS)("%s over k + 1 outcomes", (_, fast) => {
  /** The same without kernels. */
  const slow: Compute = (p, q, options) => {
    const open = vi.spyOn(KernelRows, "open").mockReturnValue(undefined);
    try {
      return fast(p, q, options);
    } finally {
      open.mockRestore();
    }
  };

  test("the kernel gives what the formula gives, in value, gradient, clipping and coverage", () => {
    fc.assert(
      fc.property(cases, ({ size, k, seed, scaleP, scaleQ, clip, scale }) => {
        const p = rows(3, size, seed, scaleP);
        const q = selectTopK(rows(3, size, seed + 1, scaleQ), k);
        const weights = [0.5, 0, 2];
        const at = () => rows(3, size, 5, 1);
        const options = (gradient: Tensor) => ({ weights, totalWeight: 4, clip, addTo: { gradient, scale } });
        const [one, other] = [slow(p, q, options(at())), fast(p, q, options(at()))];
        const near = (a: number, b: number) => {
          if (a !== b) expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-6 + 5e-6 * Math.abs(a));
        };
        near(one.value, other.value);
        near(one.clippedShare, other.clippedShare);
        near(one.coverage, other.coverage);
        for (const [r, value] of one.perRow.data.entries()) near(value, other.perRow.data[r]!);
        for (const [i, g] of one.gradient.data.entries()) {
          if (!Number.isNaN(g)) near(g, other.gradient.data[i]!);
        }
      }),
      // The rest of the model has probabilities that float32 has only some of.
      {
        numRuns: 150,
        examples: [[{ size: 65, k: 54, seed: 0, scaleP: 90, scaleQ: 0.1, clip: Number.POSITIVE_INFINITY, scale: 1 }]],
      },
    );
  });

  test("it refuses what the formula refuses, in the same words", () => {
    const p = rows(2, 80, 1, 3);
    const q = selectTopK(rows(2, 80, 2, 3), 4);
    const broken: [Tensor, TopK][] = [
      [p, { ...q, tokens: { ...q.tokens, data: q.tokens.data.map((id, i) => (i === 6 ? 80 : id)) } }],
      [p, { ...q, tokens: { ...q.tokens, data: q.tokens.data.map((id, i) => (i === 6 ? q.tokens.data[5]! : id)) } }],
      [p, { ...q, tail: { ...q.tail!, data: Float32Array.of(0, 0) } }],
      [{ ...p, data: p.data.map((x) => x + 1) }, q],
    ];
    for (const [p, q] of broken) {
      const options = () => ({ totalWeight: 2, addTo: { gradient: rows(2, 80, 5, 1), scale: 1 } });
      const message = (run: typeof slow) => {
        try {
          run(p, q, options());
        } catch (error) {
          return (error as Error).message;
        }
        return "nothing";
      };
      expect(message(fast)).toBe(message(slow));
      expect(message(fast)).not.toBe("nothing");
    }
  });
});

import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createRandom, type Random } from "../../src/common/random.ts";
import {
  allocate,
  crossEntropy,
  entropy,
  jensenShannon,
  klDivergence,
  logSoftmax,
  NotNormalizedError,
  selectTopK,
  type Tensor,
  type WithGradient,
} from "../../src/divergence/index.ts";
import { KernelRows } from "../../src/divergence/kernel/kernel-rows.ts";

/** @file The kernels against the float64 formulas that they stand for: same calls, same semantics, the same numbers. */

afterEach(() => vi.restoreAllMocks());

/** The same without kernels: everything is left to the formulas. */
function byFormula<T>(compute: () => T): T {
  const open = vi.spyOn(KernelRows, "open").mockReturnValue(undefined);
  try {
    return compute();
  } finally {
    open.mockRestore();
  }
}

interface Case {
  readonly p: Tensor;
  readonly q: Tensor;
  readonly targets: { data: Int32Array; shape: number[] };
  readonly options: { temperature: number; input: "logits"; reduction: "none" };
}

/** A search that takes longer, for whoever changes the kernels: KERNEL_RUNS=20000 npx vitest run test/divergence/kernel-formula. */
const RUNS = Number(process.env.KERNEL_RUNS ?? 120);

const rowOf = ({ data, shape }: Tensor, r: number) => data.subarray(r * shape[1]!, (r + 1) * shape[1]!);
const highest = (row: Float32Array) => row.reduce((most, x) => Math.max(most, x));
const largest = (row: Float32Array) => row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const normal = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Rows of logits around any offset, flat, steep or peaked, near to each other or not, of any length. */
const cases: fc.Arbitrary<Case> = fc
  .record({
    seed: fc.nat(),
    rows: fc.integer({ min: 1, max: 3 }),
    size: fc.oneof(fc.integer({ min: 64, max: 70 }), fc.integer({ min: 64, max: 1500 })),
    spread: fc.constantFrom(0.01, 1, 5, 40),
    distance: fc.constantFrom(1e-5, 1e-3, 0.03, 0.5, 3),
    offset: fc.constantFrom(0, 30, 200, -90),
    apart: fc.constantFrom(0, 0.7),
    peak: fc.constantFrom(0, 0, 0, 5, 17),
    temperature: fc.constantFrom(1, 0.5, 2.3, 0.1),
  })
  .map(({ seed, rows, size, spread, distance, offset, apart, peak, temperature }) => {
    const random = createRandom(seed);
    const shape = [rows, size];
    const p = { data: Float32Array.from({ length: rows * size }, () => spread * normal(random) + offset), shape };
    for (let r = 0; r < rows; r++) if (peak > 0) p.data[r * size] = peak + highest(rowOf(p, r));
    const q = { data: p.data.map((x) => x - apart * offset + distance * normal(random)), shape };
    const targets = { data: Int32Array.from({ length: rows }, () => Math.floor(random() * size)), shape: [rows] };
    return { p, q, targets, options: { temperature, input: "logits", reduction: "none" } };
  });

type Function = (c: Case) => WithGradient;
const FUNCTIONS: Record<string, Function> = {
  "KL(p‖q)": ({ p, q, options }) => klDivergence.withGradient(p, q, options),
  "KL(q‖p)": ({ p, q, options }) => klDivergence.withGradient(p, q, { ...options, direction: "q||p" }),
  "Jensen–Shannon": ({ p, q, options }) => jensenShannon.withGradient(p, q, options),
  "skewed Jensen–Shannon": ({ p, q, options }) => jensenShannon.withGradient(p, q, { ...options, beta: 0.2 }),
  entropy: ({ p, options }) => entropy.withGradient(p, options),
  "cross-entropy": ({ p, targets, options }) => crossEntropy.withGradient(p, targets, options),
};

/**
 * How far values may be from the formula's, relative. A value is made of sums of exponentials that are each within 2.5e-7, and
 * is at least a quarter of what is subtracted in it, or computed again so that nothing is subtracted.
 */
const VALUE: Record<string, number> = { "KL(p‖q)": 3.5e-6, "KL(q‖p)": 3.5e-6, entropy: 2e-6, "cross-entropy": 2e-6 };
const MIXTURES = 5e-6;
/**
 * A lane adds 32 float32 numbers before float64 takes the sum. The rounding errors of different numbers average out; those of
 * equal ones add up to at most 32 / 2 · 2^-24 ≈ 1e-6 of each sum, three times what averaging leaves.
 */
const EQUAL_NUMBERS = 3;

/** Within the bounds of docs/divergences.md; absolutely, float64 itself has the values within 1e-12. */
function expectClose(name: string, fast: WithGradient, exact: WithGradient, temperature: number, slack = 1): void {
  const relative = (VALUE[name] ?? MIXTURES) * slack;
  exact.perRow.data.forEach((value, r) => {
    const [found, wanted] = [rowOf(fast.gradient, r), rowOf(exact.gradient, r)];
    if (!Number.isFinite(value)) {
      expect(fast.perRow.data[r]).toEqual(value);
      expect(found).toEqual(wanted);
      return;
    }
    expect(Math.abs(fast.perRow.data[r]! - value)).toBeLessThanOrEqual(relative * value + 1e-12);
    const apart = largest(found.map((g, i) => g - wanted[i]!));
    expect(apart).toBeLessThanOrEqual(slack * (5e-6 * largest(wanted) + (2.5e-6 * value) / temperature + 1e-10));
  });
}

describe.each(Object.entries(FUNCTIONS))("%s", (name, f) => {
  test("value and gradient are the formula's, within float32", () => {
    fc.assert(
      fc.property(cases, (c) => {
        expectClose(
          name,
          f(c),
          byFormula(() => f(c)),
          c.options.temperature,
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("of few distinct numbers, whose rounding errors add up, too", () => {
    const distinct = fc.integer({ min: 1, max: 4 });
    fc.assert(
      fc.property(cases, distinct, (c, count) => {
        // Each row repeats its first numbers in an irregular order.
        const repeat = ({ data, shape }: Tensor): Tensor => ({
          data: data.map((_, i) => {
            const column = i % shape[1]!;
            return data[i - column + ((column * column * 7 + (column >> 3)) % count)]!;
          }),
          shape,
        });
        const few = { ...c, p: repeat(c.p), q: repeat(c.q) };
        expectClose(
          name,
          f(few),
          byFormula(() => f(few)),
          c.options.temperature,
          EQUAL_NUMBERS,
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("what is not finite is what the formula says", () => {
    const special = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -200, -1e30, 1e30);
    const change = fc.record({ inP: fc.boolean(), at: fc.nat(), value: special });
    fc.assert(
      fc.property(cases, fc.array(change, { minLength: 1, maxLength: 4 }), (c, changes) => {
        const [p, q] = [
          { ...c.p, data: c.p.data.slice() },
          { ...c.q, data: c.q.data.slice() },
        ];
        for (const { inP, at, value } of changes) (inP ? p : q).data[at % p.data.length] = value;
        const changed = { ...c, p, q };
        expectClose(
          name,
          f(changed),
          byFormula(() => f(changed)),
          c.options.temperature,
          EQUAL_NUMBERS,
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("weights, totals, caps and reductions", () => {
    fc.assert(
      fc.property(
        cases,
        fc.constantFrom("mean", "sum"),
        fc.double({ min: 0.01, max: 2, noNaN: true }),
        (c, reduction, clip) => {
          const weights = Array.from({ length: c.p.shape[0]! }, (_, r) => (r === 1 ? 0 : r + 0.5));
          const options = { ...c.options, reduction, weights, totalWeight: 7, clip } as unknown as Case["options"];
          const [fast, exact] = [f({ ...c, options }), byFormula(() => f({ ...c, options }))];
          // A row whose value is the cap's within rounding may fall on either side of it.
          if (exact.perRow.data.some((value) => Math.abs(value - clip) < 1e-4)) return;
          expect(fast.value as unknown as number).toBeCloseTo(exact.value as unknown as number, 4);
          expect(fast.clippedShare).toBe(exact.clippedShare);
          const apart = largest(fast.gradient.data.map((g, i) => g - exact.gradient.data[i]!));
          expect(apart).toBeLessThanOrEqual(5e-6 * largest(exact.gradient.data) + 1e-6);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("tensors in the kernels' memory give the same to the last bit, in place as well", () => {
    fc.assert(
      fc.property(cases, (c) => {
        const [p, q] = [allocate(c.p.shape), allocate(c.q.shape)];
        p.data.set(c.p.data);
        q.data.set(c.q.data);
        const plain = f(c);
        const home = f({ ...c, p, q });
        expect(home.perRow.data).toEqual(plain.perRow.data);
        expect(home.gradient.data).toEqual(plain.gradient.data);
        const inPlace = f({ ...c, p, q, options: { ...c.options, out: { gradient: p } } as Case["options"] });
        expect(inPlace.gradient.data).toEqual(plain.gradient.data);
      }),
      { numRuns: RUNS },
    );
  });
});

test.each([1, 0.5])("a KL of 1e-16 nats has its digits, at temperature %f", (temperature) => {
  const logits = (z: number) => {
    const data = new Float32Array(64).fill(-20);
    data.set([7.55, z]);
    return { data, shape: [1, 64] };
  };
  const found = klDivergence.withGradient(logits(2.6), logits(2.600001), { input: "logits", temperature });
  const [near, far] = [Math.fround(2.6), Math.fround(2.600001)];
  const odds = Math.exp((near - Math.fround(7.55)) / temperature);
  // To second order ½·p·(1 − p)·d² with d the difference of the tempered logits, and its slope p·(1 − p)·|d| / T.
  const variance = odds / (1 + odds) ** 2;
  const d = (far - near) / temperature;
  expect(Math.abs(found.value / (0.5 * variance * d * d) - 1)).toBeLessThan(5e-6);
  expect(Math.abs(largest(found.gradient.data) / ((variance * d) / temperature) - 1)).toBeLessThan(5e-6);
});

test.each([0.1, 0.9, 0.01, 1e-6])("the Jensen–Shannon divergence keeps its digits with a share of %f", (beta) => {
  fc.assert(
    fc.property(cases, ({ p, q, options }) => {
      const compute = () => jensenShannon.withGradient(p, q, { ...options, beta }).perRow.data;
      const [fast, exact] = [compute(), byFormula(compute)];
      exact.forEach((value, r) => {
        expect(Math.abs(fast[r]! - value)).toBeLessThanOrEqual(5e-6 * value + 1e-12);
      });
    }),
    { numRuns: RUNS },
  );
});

test("log-probabilities of a reference that are vouched for: the same KL(p‖q), within what float32 holds of them", () => {
  fc.assert(
    fc.property(cases, ({ p, q: logits }) => {
      const q = logSoftmax(logits);
      const options = { input: { p: "logits", q: "logprobs" }, reduction: "none" } as const;
      const exact = byFormula(() => klDivergence.withGradient(p, q, options));
      const fast = klDivergence.withGradient(p, q, { ...options, check: false });
      exact.perRow.data.forEach((value, r) => {
        // What float32 leaves of the log-probabilities: some 1e-7 of the numbers that are subtracted.
        const row = rowOf(p, r);
        const subtracted = highest(row) - row.reduce((least, x) => Math.min(least, x));
        const tolerance = 1e-6 * Math.max(1, value, subtracted / 2);
        expect(Math.abs(fast.perRow.data[r]! - value)).toBeLessThanOrEqual(tolerance);
        const [found, wanted] = [rowOf(fast.gradient, r), rowOf(exact.gradient, r)];
        expect(largest(found.map((g, i) => g - wanted[i]!))).toBeLessThanOrEqual(tolerance);
      });
    }),
    { numRuns: RUNS },
  );
});

test("vouched for, outcomes that mislead about the row's normalizer cost no digits", () => {
  const random = createRandom(9);
  const q = logSoftmax({ data: Float32Array.from({ length: 200 }, () => normal(random)), shape: [1, 200] });
  const options = { input: { p: "logits", q: "logprobs" } } as const;
  // The first outcomes, by which it is guessed: less and more probable to the model by far, impossible to it, or too far for float32.
  for (const first of [-60, 4, Number.NEGATIVE_INFINITY, -500, -1e30]) {
    const p = { ...q, data: q.data.map((x, i) => (i < 16 ? x + first : x + 0.1 * normal(random) + 20)) };
    const exact = byFormula(() => klDivergence.withGradient(p, q, options));
    const fast = klDivergence.withGradient(p, q, { ...options, check: false });
    expect(Math.abs(fast.value - exact.value)).toBeLessThanOrEqual(1e-6 * Math.max(1, exact.value));
    expect(largest(fast.gradient.data.map((g, i) => g - exact.gradient.data[i]!))).toBeLessThanOrEqual(2e-7);
  }
});

test("vouching skips the check of both sides and nothing else", () => {
  const random = createRandom(6);
  const good = logSoftmax({ data: Float32Array.from({ length: 300 }, () => normal(random)), shape: [3, 100] });
  const bad = { ...good, data: good.data.map((x, i) => (i >= 200 ? x + 0.01 : x)) };
  expect(klDivergence(bad, good, { check: false })).toBeLessThan(0.011);
  expect(klDivergence(good, good, { check: false })).toBe(0);
  expect(klDivergence.withGradient(good, good, { check: false }).gradient.data.every((g) => g === 0)).toBe(true);
  // What is not finite is left to the formula, as ever.
  const impossible = { ...good, data: good.data.map((x, i) => (i === 7 ? Number.NEGATIVE_INFINITY : x)) };
  expect(klDivergence(good, impossible, { check: false })).toBe(Number.POSITIVE_INFINITY);
  const masked = logSoftmax(impossible);
  expect(klDivergence(masked, good, { check: false })).toBeCloseTo(klDivergence(masked, good), 6);
});

test("a row of log-probabilities that does not sum to 1 is refused as the formula refuses it", () => {
  const random = createRandom(5);
  const good = logSoftmax({ data: Float32Array.from({ length: 300 }, () => normal(random)), shape: [3, 100] });
  const bad = { ...good, data: good.data.map((x, i) => (i >= 200 ? x + 0.01 : x)) };
  expect(() => klDivergence(good, bad)).toThrow(NotNormalizedError);
  expect(() => klDivergence(good, bad)).toThrow("row 2 of q sums to 1.01");
  expect(klDivergence(good, good)).toBe(0);
  const summingTo = (sum: number) => ({ ...good, data: good.data.map((x) => x + Math.log(sum)) });
  for (const sum of [0.99895, 1.00105]) expect(() => klDivergence(good, summingTo(sum))).toThrow("row 0 of q sums to");
  for (const sum of [0.99905, 1.00095]) expect(klDivergence(good, summingTo(sum))).toBeCloseTo(0, 12);
});

test("rows far apart keep the digits of a divergence that is small beside their distance", () => {
  const random = createRandom(8);
  const shape = [4, 200];
  for (const [ofP, ofQ] of [
    [-35, 60],
    [60, -35],
  ] as const) {
    const x = Float32Array.from({ length: 800 }, () => normal(random));
    const p = { data: x.map((z) => z + ofP), shape };
    const q = { data: x.map((z) => z + normal(random) + ofQ), shape };
    for (const direction of ["p||q", "q||p"] as const) {
      const compute = () => klDivergence(p, q, { direction, input: "logits", reduction: "none" }).data;
      const [fast, exact] = [compute(), byFormula(compute)];
      exact.forEach((value, r) => {
        expect(Math.abs(fast[r]! - value)).toBeLessThanOrEqual(1e-6 * value);
      });
    }
  }
});

test("rows far from 0 keep their digits at every temperature", () => {
  for (let i = 0; i < 20; i++) {
    const temperature = 0.3 + 0.17 * i;
    // Two equal outcomes, and others that are next to impossible.
    const data = Float32Array.from({ length: 64 }, (_, i) => (i < 2 ? 60 : 30) * temperature);
    const p = { data, shape: [1, 64] };
    const options = { input: "logits", temperature } as const;
    expect(Math.abs(entropy(p, options) - Math.LN2)).toBeLessThan(3e-7);
    expect(Math.abs(crossEntropy(p, { data: Int32Array.of(1), shape: [1] }, options) - Math.LN2)).toBeLessThan(3e-7);
  }
});

test("rows that are equal: 0 in value, and in gradient at most 1e-7", () => {
  fc.assert(
    fc.property(cases, ({ p, options }) => {
      for (const f of [klDivergence, jensenShannon]) {
        const { perRow, gradient } = f.withGradient(p, { ...p, data: p.data.slice() }, options);
        expect([...perRow.data]).toEqual(perRow.shape[0] ? [...perRow.data].map(() => 0) : []);
        expect(largest(gradient.data)).toBeLessThanOrEqual(1e-7);
      }
    }),
    { numRuns: RUNS },
  );
});

test("log-probabilities, and the most probable of them", () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 1, max: 64 }), ({ p, options: { temperature } }, k) => {
      // Some are equal, some impossible.
      p.data.copyWithin(0, 3, 9);
      p.data[10] = Number.NEGATIVE_INFINITY;
      const compute = () => ({ all: logSoftmax(p, { temperature }), top: selectTopK(p, k, { temperature }) });
      const [fast, exact] = [compute(), byFormula(compute)];
      expect(fast.top.tokens).toEqual(exact.top.tokens);
      const near = (found: Float32Array, wanted: Float32Array, floor: number) =>
        wanted.forEach((x, i) => {
          if (!Number.isFinite(x)) expect(found[i]).toBe(x);
          else expect(Math.abs(found[i]! - x)).toBeLessThanOrEqual(2e-6 * Math.max(floor, Math.abs(x)) + 1e-13);
        });
      near(fast.all.data, exact.all.data, 0);
      near(fast.top.logprobs.data, exact.top.logprobs.data, 0);
      near(fast.top.tail!.data, exact.top.tail!.data, 1);
    }),
    { numRuns: RUNS },
  );
});

import fc from "fast-check";
import { describe, expect, expectTypeOf, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import {
  type Divergence,
  type IntTensor,
  jeffreys,
  jensenShannon,
  klDivergence,
  logSoftmax,
  renyi,
  selectTopK,
  type Tensor,
  type TopK,
  type TopKOptions,
  type TopKWithGradient,
  tensor,
  topK,
  totalVariation,
} from "../../src/divergence/index.ts";
import * as oracle from "./oracle.ts";

const { logprobs, matrix } = oracle;
const ids = (rows: readonly (readonly number[])[]): IntTensor => ({
  data: Int32Array.from(rows.flat()),
  shape: [rows.length, rows[0]!.length],
});
/** The k given tokens of each row of whole distributions. */
const known = (rows: readonly oracle.Distribution[], tokens: readonly (readonly number[])[]): TopK =>
  topK(ids(tokens), logprobs(rows.map((row, r) => tokens[r]!.map((token) => row[token]!))));

const T = [0.5, 0.2, 0.1, 0.1, 0.06, 0.04];
const S = [0.3, 0.3, 0.1, 0.05, 0.05, 0.2];

describe("published numbers", () => {
  test("two of six outcomes: .1902 whole, .0880 with a tail, .0949 renormalized", () => {
    const [t, s] = [logprobs([T]), known([S], [[0, 1]])];
    expect(klDivergence(t, logprobs([S]))).toBeCloseTo(0.1901962852, 7);
    const tailed = klDivergence.withGradient(t, s);
    expect(tailed.value).toBeCloseTo(0.0880151685, 7);
    expect(tailed.coverage).toBeCloseTo(0.6, 7);
    expect(tailed.lowerBound).toBe(true);
    const renormalized = klDivergence.withGradient(t, s, { renormalize: true });
    expect(renormalized.value).toBeCloseTo(0.094877592, 7);
    expect(renormalized.lowerBound).toBe(false);
  });

  test("the top token alone: the partial sum is −.2433, with the tail it is the whole .3112", () => {
    const partial = 0.6 * Math.log(0.6 / 0.9);
    expect(partial).toBeCloseTo(-0.2432790649, 9);
    const value = klDivergence(logprobs([[0.6, 0.4]]), known([[0.9, 0.1]], [[0]]));
    expect(value).toBeCloseTo(0.3112386796, 7);
  });

  test("renormalized, the best model of a .5 gives it .714; with a tail it gives .5", () => {
    const [top, reference] = [logprobs([[5 / 7, 2 / 7, 0, 0, 0, 0]]), known([T], [[0, 1]])];
    const renormalized = klDivergence.withGradient(top, reference, { direction: "q||p", renormalize: true });
    expect(renormalized.value).toBeLessThan(1e-12);
    expect(5 / 7).toBeCloseTo(0.714, 3);
    const same = logprobs([[0.5, 0.2, 0.3, 0, 0, 0]]);
    const tailed = klDivergence.withGradient(same, reference, { direction: "q||p" });
    expect(tailed.value).toBeLessThan(1e-12);
    for (const g of tailed.gradient.data) expect(Math.abs(g)).toBeLessThan(1e-7);
  });
});

interface Case {
  readonly name: string;
  readonly definition: (p: oracle.Distribution, q: oracle.Distribution) => number;
  readonly withGradient: (
    p: Tensor | TopK,
    q: TopK,
    options?: TopKOptions & {
      input?: "logits" | "logprobs";
      temperature?: number;
      weights?: number[];
      epsilon?: number;
    },
  ) => TopKWithGradient;
}

const CASES: Case[] = [
  { name: "KL(p‖q)", definition: oracle.kl, withGradient: klDivergence.withGradient },
  {
    name: "KL(q‖p)",
    definition: (p, q) => oracle.kl(q, p),
    withGradient: (p, q, options) => klDivergence.withGradient(p, q, { ...options, direction: "q||p" }),
  },
  { name: "Jensen–Shannon", definition: oracle.jensenShannon, withGradient: jensenShannon.withGradient },
  {
    name: "skewed Jensen–Shannon",
    definition: (p, q) => oracle.jensenShannon(p, q, 0.2),
    withGradient: (p, q, options) => jensenShannon.withGradient(p, q, { ...options, beta: 0.2 }),
  },
  { name: "Jeffreys", definition: oracle.jeffreys, withGradient: jeffreys.withGradient },
  { name: "total variation", definition: oracle.totalVariation, withGradient: totalVariation.withGradient },
  ...[0.5, 3].map((alpha) => ({
    name: `Rényi ${alpha}`,
    definition: (p: oracle.Distribution, q: oracle.Distribution) => oracle.renyi(p, q, alpha),
    withGradient: ((p, q, options) => renyi.withGradient(p, q, { ...options, alpha })) as Case["withGradient"],
  })),
];

const sum = (p: readonly number[]) => p.reduce((a, b) => a + b, 0);
const merged = (p: oracle.Distribution, tokens: readonly number[]) => [
  ...tokens.map((token) => p[token]!),
  sum(p.filter((_, i) => !tokens.includes(i))),
];
const scaled = (p: readonly number[]) => p.map((x) => x / sum(p));

describe("gradient = finite differences in float64 of the definition over merged outcomes", () => {
  const random = createRandom(3);
  const rows = () => Array.from({ length: 3 }, () => Array.from({ length: 6 }, () => 4 * (random() - 0.5)));
  const tokens = [
    [4, 1],
    [0, 5],
    [3, 2],
  ];
  const weights = [0.5, 0, 2];
  const check = (found: number, expected: number) =>
    expect(Math.abs(found - expected)).toBeLessThan(2e-6 * Math.max(1, Math.abs(expected)));

  describe.each([
    { renormalize: false, temperature: 1 },
    { renormalize: true, temperature: 1 },
    { renormalize: true, temperature: 2 },
  ])("renormalize $renormalize, temperature $temperature", ({ renormalize, temperature }) => {
    const outcomes = (p: oracle.Distribution, tokens: readonly number[]) =>
      renormalize ? scaled(tokens.map((token) => p[token]! ** (1 / temperature))) : merged(p, tokens);

    test.each(CASES.flatMap((each) => (["logits", "logprobs"] as const).map((input) => ({ ...each, input }))))(
      "$name of a whole model from $input",
      ({ definition, withGradient, input }) => {
        const [z, y] = [matrix(rows()), rows().map(oracle.softmax)];
        const p = input === "logits" ? z : logSoftmax(z);
        const q = known(y, tokens);
        const found = withGradient(p, q, { input, temperature, renormalize, weights });
        let total = 0;
        for (const [r, weight] of weights.entries()) {
          const listed = tokens[r]!;
          const reference = outcomes(y[r]!, listed);
          const value = (z: readonly number[]) => definition(outcomes(oracle.softmax(z), listed), reference);
          const row = [...p.data.subarray(r * 6, r * 6 + 6)];
          total += (weight * value(row)) / 2.5;
          check(found.perRow.data[r]!, weight === 0 ? 0 : value(row));
          for (const [i, wanted] of oracle.numericalGradient(value, row).entries())
            check(found.gradient.data[r * 6 + i]!, (weight * wanted) / 2.5);
        }
        check(found.value as number, total);
        check(found.coverage, weights.reduce((all, w, r) => all + w * sum(tokens[r]!.map((t) => y[r]![t]!)), 0) / 2.5);
      },
    );

    test.each(CASES)("$name of a model known at the same tokens", ({ definition, withGradient }) => {
      const [x, y] = [rows().map(oracle.softmax), rows().map(oracle.softmax)];
      const [p, q] = [known(x, tokens), known(y, tokens)];
      const found = withGradient(p, q, { temperature, renormalize, weights });
      expect(found.gradient.shape).toEqual([3, 2]);
      const of = (l: readonly number[]) => {
        const p = l.map(Math.exp);
        return renormalize ? scaled(p.map((x) => x ** (1 / temperature))) : [...p, 1 - sum(p)];
      };
      for (const [r, weight] of weights.entries()) {
        const row = ({ data }: Tensor) => [...data.subarray(r * 2, r * 2 + 2)];
        const value = (l: readonly number[]) => definition(of(l), of(row(q.logprobs)));
        check(found.perRow.data[r]!, weight === 0 ? 0 : value(row(p.logprobs)));
        for (const [i, wanted] of oracle.numericalGradient(value, row(p.logprobs)).entries())
          check(row(found.gradient)[i]!, (weight * wanted) / 2.5);
      }
    });
  });

  test("with respect to a model's log-probabilities, through its softmax, is that with respect to its logits", () => {
    const [z, y] = [rows(), rows().map(oracle.softmax)];
    const p = z.map(oracle.softmax);
    for (const { withGradient } of CASES) {
      const whole = withGradient(matrix(z), known(y, tokens), { input: "logits" }).gradient.data;
      const part = withGradient(known(p, tokens), known(y, tokens)).gradient.data;
      for (const [r, listed] of tokens.entries()) {
        const pull = sum([...part.subarray(r * 2, r * 2 + 2)]);
        for (const [v, probability] of p[r]!.entries()) {
          const own = listed.indexOf(v) < 0 ? 0 : part[r * 2 + listed.indexOf(v)]!;
          check(own - probability * pull, whole[r * 6 + v]!);
        }
      }
    }
  });

  test("of a smoothed reference: the rest has as many shares of epsilon as it has tokens", () => {
    const [p, y] = [rows(), rows().map(oracle.softmax)];
    for (const { definition, withGradient } of CASES) {
      const found = withGradient(matrix(p), known(y, tokens), { input: "logits", epsilon: 0.1 });
      for (const [r, listed] of tokens.entries())
        check(
          found.perRow.data[r]!,
          definition(merged(oracle.softmax(p[r]!), listed), merged(oracle.smooth(y[r]!, 0.1), listed)),
        );
    }
  });
});

/** Logits of two batches, and k of their tokens in each row. */
const batch = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 8 })).chain(([rows, size]) => {
  const logit = fc.oneof(
    { weight: 4, arbitrary: fc.float({ min: -8, max: 8, noNaN: true }) },
    fc.float({ min: -200, max: 200, noNaN: true }),
  );
  const logits = fc
    .array(logit, { minLength: rows * size, maxLength: rows * size })
    .map((data) => tensor(data, [rows, size]));
  const weight = fc.oneof(fc.constant(0), fc.float({ min: Math.fround(0.01), max: 4, noNaN: true }));
  return fc.record({
    p: logits,
    q: logits,
    k: fc.integer({ min: 1, max: size }),
    weights: fc.array(weight, { minLength: rows, maxLength: rows }),
  });
});
type Batch = typeof batch extends fc.Arbitrary<infer T> ? T : never;
const hold = (property: (batch: Batch) => void) => fc.assert(fc.property(batch, property), { numRuns: 120 });
const logits = { input: "logits" } as const;
const close = (a: number, b: number, tolerance = 1e-6) =>
  a === b || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b));

describe.each(CASES)("$name over the top k", ({ name, withGradient }) => {
  const whole = (p: Tensor, q: Tensor) => withGradient(p, selectTopK(q, q.shape[1]!), logits).perRow.data;

  test("is at most the whole (data processing), at least 0, and grows with k", () => {
    hold(({ p, q, k }) => {
      if (q.shape[0] === 0) return;
      const most = whole(p, q);
      const [fewer, more] = [k, Math.min(k + 1, q.shape[1]!)].map(
        (k) => withGradient(p, selectTopK(q, k), logits).perRow.data,
      );
      most.forEach((value, r) => {
        expect(fewer![r]).toBeGreaterThanOrEqual(0);
        expect(fewer![r]).toBeLessThanOrEqual(more![r]! * (1 + 1e-5) + 1e-6);
        expect(more![r]).toBeLessThanOrEqual(value * (1 + 1e-5) + 1e-6);
      });
    });
  });

  test("is 0 at equality, in value and gradient, however it is known", () => {
    hold(({ p, k }) => {
      const q = selectTopK(p, k);
      for (const found of [
        withGradient(p, q, logits),
        withGradient(q, q),
        withGradient(topK(q.tokens, q.logprobs), topK(q.tokens, q.logprobs)),
        withGradient(p, topK(q.tokens, q.logprobs), { ...logits, renormalize: true }),
      ]) {
        expect(Math.abs(found.value as number)).toBeLessThan(1e-6);
        // Where p = q up to the rounding of one side to float32, total variation may have any of its subgradients.
        if (name !== "total variation") for (const g of found.gradient.data) expect(Math.abs(g)).toBeLessThan(2e-6);
      }
    });
  });

  test("does not depend on the order in which the tokens are listed, nor read rows of weight 0", () => {
    hold(({ p, q, k, weights }) => {
      const { tokens, logprobs, tail } = selectTopK(q, k);
      const backwards = topK(
        { data: tokens.data.map((_, i, all) => all[i - (i % k) + k - 1 - (i % k)]!), shape: tokens.shape },
        { data: logprobs.data.map((_, i, all) => all[i - (i % k) + k - 1 - (i % k)]!), shape: logprobs.shape },
        { tail: tail! },
      );
      const masked = topK(
        { data: tokens.data.map((token, i) => (weights[Math.floor(i / k)] === 0 ? -7 : token)), shape: tokens.shape },
        logprobs,
        { tail: tail! },
      );
      const one = withGradient(p, selectTopK(q, k), { ...logits, weights });
      expect(withGradient(p, masked, { ...logits, weights })).toEqual(one);
      const other = withGradient(p, backwards, { ...logits, weights });
      expect(close(one.value as number, other.value as number)).toBe(true);
      expect(close(one.coverage, other.coverage)).toBe(true);
    });
  });
});

test("over all k = V tokens is the divergence over the whole vocabulary, value and gradient", () => {
  const divergences: Divergence[] = [klDivergence, jensenShannon, jeffreys, totalVariation, renyi];
  hold(({ p, q }) => {
    if (q.shape[0] === 0) return;
    const reference = logSoftmax(q);
    for (const divergence of divergences) {
      const whole = divergence.withGradient(logSoftmax(p), reference);
      const all = divergence.withGradient(logSoftmax(p), selectTopK(reference, q.shape[1]!));
      expect(close(whole.value, all.value)).toBe(true);
      if (divergence === totalVariation) continue;
      whole.gradient.data.forEach((g, i) => {
        expect(Number.isNaN(g) ? Number.isNaN(all.gradient.data[i]) : close(g, all.gradient.data[i]!, 1e-5)).toBe(true);
      });
    }
  });
});

test("parts of a batch add up, coverage included", () => {
  const [p, q] = [logprobs([T, S, T]), known([S, T, S], [[0], [1], [5]])];
  const part = (from: number, to: number) => {
    const cut = ({ data, shape }: Tensor) =>
      tensor(data.slice(from * shape[1]!, to * shape[1]!), [to - from, shape[1]!]);
    const tokens = { data: q.tokens.data.slice(from, to), shape: [to - from, 1] };
    return klDivergence.withGradient(cut(p), topK(tokens, cut(q.logprobs)), {
      weights: [1, 0, 3].slice(from, to),
      totalWeight: 4,
    });
  };
  const whole = klDivergence.withGradient(p, q, { weights: [1, 0, 3] });
  const [one, other] = [part(0, 2), part(2, 3)];
  expect(one.value + other.value).toBeCloseTo(whole.value, 12);
  expect(one.coverage + other.coverage).toBeCloseTo(whole.coverage, 12);
  expect(whole.coverage).toBeCloseTo((0.3 + 3 * 0.2) / 4, 7);
  expect(klDivergence.withGradient(p, q, { weights: [0, 0, 0] })).toMatchObject({ value: 0, coverage: 0 });
});

test("out and addTo are written to as over the whole vocabulary", () => {
  const [p, q] = [logprobs([T]), known([S], [[0, 1]])];
  const first = klDivergence.withGradient(p, q);
  const gradient = { data: new Float32Array(6).fill(1), shape: [1, 6] };
  klDivergence.withGradient(p, q, { addTo: { gradient, scale: 2 } });
  gradient.data.forEach((g, i) => {
    expect(g).toBeCloseTo(1 + 2 * first.gradient.data[i]!, 6);
  });
  expect(klDivergence.withGradient(p, q, { out: { gradient } }).gradient.data).toBe(gradient.data);
  expect(gradient.data).toEqual(first.gradient.data);
});

describe("the rest", () => {
  const peaked = matrix([[0, -40, -40, -40]]);

  test("of float32 numbers that sum to 1 is unknown, not 0: nothing becomes infinite", () => {
    const q = selectTopK(peaked, 1);
    expect(q.logprobs.data[0]).toBe(0);
    const unknown = topK(q.tokens, q.logprobs);
    const wide = matrix([[0, -3, -3, -3]]);
    for (const direction of ["p||q", "q||p"] as const) {
      const how = { input: "logits", direction } as const;
      expect(klDivergence(wide, q, how)).toBeGreaterThan(0);
      expect(klDivergence(wide, unknown, how)).toBeGreaterThan(0);
      expect(klDivergence(wide, unknown, how)).toBeLessThanOrEqual(klDivergence(wide, q, how));
      expect(klDivergence(peaked, unknown, how)).toBeLessThan(1e-9);
      expect(klDivergence(unknown, topK(...listed([[0]], [[0.9]])), { direction })).toBeLessThan(2);
    }
  });

  test("does not exist where all tokens are listed, though they sum to 1 only nearly; coverage is at most 1", () => {
    const all = matrix([[0, -40]]);
    for (const sum of [0.9995, 1.0005]) {
      const q = topK(...listed([[0, 1]], [[0.6 * sum, 0.4 * sum]]));
      const found = klDivergence.withGradient(all, q, { input: "logits", direction: "q||p" });
      expect(found.value).toBeCloseTo(0.6 * Math.log(0.6) + 0.4 * (Math.log(0.4) + 40), 5);
      expect(found.coverage).toBeCloseTo(Math.min(1, sum), 6);
      expect(found.coverage).toBeLessThanOrEqual(1);
    }
  });

  test("that is known to be 0 is: +∞ where the other side has something", () => {
    const none = tensor([Number.NEGATIVE_INFINITY], [1]);
    const [tokens, logs] = listed([[0, 1]], [[0.5, 0.5]]);
    const all = topK(tokens, logs, { tail: none });
    const some = logprobs([[0.4, 0.4, 0.2]]);
    expect(klDivergence.withGradient(some, all)).toMatchObject({ value: Number.POSITIVE_INFINITY });
    expect(klDivergence(some, all, { direction: "q||p" })).toBeCloseTo(Math.log(1.25), 6);
    expect(klDivergence(some, all, { clip: 3 })).toBe(3);
    expect(klDivergence(some, all, { epsilon: 0.1 })).toBeLessThan(1);
  });

  test("an impossible token in the list is +∞ or nothing, as over the whole vocabulary", () => {
    const q = topK(...listed([[0, 1]], [[0.5, 0]]));
    expect(klDivergence(logprobs([[0.4, 0.4, 0.2]]), q)).toBe(Number.POSITIVE_INFINITY);
    expect(klDivergence(logprobs([[0.5, 0, 0.5]]), q)).toBeLessThan(1e-9);
  });

  test("NaN on either side is NaN out, in value and gradient", () => {
    const nan = Number.NaN;
    const q = topK(...listed([[0, 1]], [[0.5, 0.2]]));
    const bad = topK(...listed([[0, 1]], [[0.5, nan]]));
    const p = logprobs([[0.5, 0.3, 0.2]]);
    for (const { withGradient } of CASES) {
      for (const renormalize of [false, true]) {
        for (const found of [
          withGradient(p, bad, { renormalize }),
          withGradient(matrix([[0, 1, nan]]), q, { renormalize, input: "logits" }),
          withGradient(bad, q, { renormalize }),
        ]) {
          expect(found.value).toBeNaN();
          for (const g of found.gradient.data) expect(g).toBeNaN();
        }
      }
    }
  });
});

function listed(tokens: number[][], probabilities: number[][]): [IntTensor, Tensor] {
  return [ids(tokens), logprobs(probabilities)];
}

test("selectTopK takes the most probable first, of equal ones the lower id, with the exact rest", () => {
  const { tokens, logprobs, tail } = selectTopK(
    matrix([
      [1, 3, 3, 0, 2],
      [5, 4, 3, 2, 1],
    ]),
    3,
    { temperature: 2 },
  );
  expect([...tokens.data]).toEqual([1, 2, 4, 0, 1, 2]);
  expect(tokens.shape).toEqual([2, 3]);
  const p = oracle.softmax([0.5, 1.5, 1.5, 0, 1]);
  expect(logprobs.data[2]).toBeCloseTo(Math.log(p[4]!), 6);
  expect(tail!.data[0]).toBeCloseTo(Math.log(p[0]! + p[3]!), 6);
  hold(({ p, k }) => {
    const { tokens } = selectTopK(p, k);
    for (let r = 0; r < p.shape[0]!; r++) {
      const row = [...p.data.subarray(r * p.shape[1]!, (r + 1) * p.shape[1]!)];
      const found = [...tokens.data.subarray(r * k, r * k + k)].map((id) => row[id]!);
      const best = row.toSorted((a, b) => b - a).slice(0, k);
      // Logits that differ by less than the rounding of their log-probabilities count as equal.
      for (const [i, logit] of found.entries()) expect(close(logit, best[i]!)).toBe(true);
    }
  });
});

test("selectTopK tells neighbouring float32 numbers apart, in rows of any length and at any temperature", () => {
  const next = (x: number) => {
    const [float] = [Float32Array.of(x)];
    new Int32Array(float.buffer)[0]! += 1;
    return float[0]!;
  };
  const best = (first: readonly number[], size: number, k: number, temperature: number) => {
    const row = { data: Float32Array.from({ length: size }, (_, i) => first[i] ?? -10), shape: [1, size] };
    return [...selectTopK(row, k, { ...logits, temperature }).tokens.data];
  };
  for (const size of [63, 64]) {
    expect(best([72, 8, next(8), 8.000003], size, 3, 1)).toEqual([0, 3, 2]);
    expect(best([30, 0.25, next(0.25), 0.001], size, 2, 2)).toEqual([0, 2]);
  }
});

test("KL(q‖p) against a top-k: a rest of the model below what float64 holds is as over the whole vocabulary", () => {
  for (const z of [-746, -744, -700]) {
    const p = tensor([0, 0, z], [1, 3]);
    const options = { ...logits, direction: "q||p" } as const;
    const found = klDivergence.withGradient(p, known([[0.5, 0.3, 0.2]], [[0, 1]]), options);
    // Σ q·log q with the model at log ½, log ½ and z − log 2, its slope p − q.
    const value = 0.5 * Math.log(0.5) + 0.3 * Math.log(0.3) + 0.2 * Math.log(0.2) + Math.LN2 - 0.2 * z;
    expect(Math.abs(found.value - value)).toBeLessThan(1e-6 * value);
    [0, 0.2, -0.2].forEach((slope, i) => {
      expect(found.gradient.data[i]).toBeCloseTo(slope, 7);
    });
  }
});

describe("what cannot be compared is refused in one sentence", () => {
  const p = logprobs([T]);
  const q = known([S], [[0, 1]]);
  test.each([
    [() => klDivergence(logprobs([T, T]), q), "p is [2, 6] and the top-k q [1, 2]: both must have the same rows"],
    [() => klDivergence(known([T], [[0]]), q), "the same rows and the same k"],
    [() => klDivergence(known([T], [[1, 0]]), q), "row 0 of p lists token 1 where q lists 0"],
    [() => klDivergence(p, known([S], [[1, 1]])), "row 0 of q lists a token twice"],
    [() => klDivergence(p, topK(...listed([[-1]], [[0.5]]))), "row 0 of q lists token -1"],
    [
      () => klDivergence(logprobs([[0.5, 0.5]]), known([S], [[5]])),
      "row 0 of q lists token 5, expected ids from 0 to below 2",
    ],
    [() => klDivergence(p, topK(...listed([[0, 1]], [[0.9, 0.8]]))), "the top-k of row 0 of q sums to 1.7"],
    [
      () => klDivergence(p, topK(...listed([[0]], [[0.5]]), { tail: tensor([Math.log(0.2)], [1]) })),
      "sums to 0.7 with its tail, expected 1",
    ],
    [() => klDivergence(p, q, { temperature: 2 }), "temperature is 2, but the rest of a top-k cannot be softened"],
    [() => klDivergence(known([T], [[0, 1]]), q, { epsilon: 0.1 }), "epsilon is 0.1, but two top-k sides"],
    [() => topK(ids([[1, 2]]), logprobs([[0.5]])), "tokens are [1, 2] and logprobs [1, 1]"],
    [
      () => topK(ids([[1]]), logprobs([[0.5]]), { tail: tensor([0, 0], [2]) }),
      "tail is [2], expected one number per row",
    ],
    [() => selectTopK(p, 7), "k is 7, expected a whole number from 1 to the vocabulary's 6"],
    [() => selectTopK(p, 0), "k is 0"],
  ])("%#", (act, message) => {
    expect(act).toThrow(RangeError);
    expect(act).toThrow(message);
  });

  test("a top-k model against a whole reference", () => {
    const compare = klDivergence as (p: unknown, q: unknown) => number;
    expect(() => compare(q, p)).toThrow(TypeError);
    expect(() => compare(q, p)).toThrow("a top-k model takes a top-k reference of the same tokens");
    expectTypeOf(klDivergence<"mean", Tensor>)
      .parameter(0)
      .toEqualTypeOf<Tensor>();
    expectTypeOf(klDivergence<"mean", TopK>)
      .parameter(0)
      .toEqualTypeOf<Tensor | TopK>();
    expectTypeOf(klDivergence.withGradient(p, q)).toEqualTypeOf<TopKWithGradient<"mean">>();
    expectTypeOf(klDivergence(p, q, { reduction: "none", renormalize: true })).toEqualTypeOf<Tensor>();
  });
});

import { describe, expect, test } from "vitest";
import {
  crossEntropy,
  jeffreys,
  jensenShannon,
  klDivergence,
  logSoftmax,
  NotNormalizedError,
  renyi,
  selectTopK,
  type Tensor,
  tensor,
  totalVariation,
} from "../../src/divergence/index.ts";
import { logprobs, matrix } from "./oracle.ts";

const NONE = Number.NEGATIVE_INFINITY;
const [P, Q] = [logprobs([[0.5, 0.5, 0]]), logprobs([[0.2, 0.8, 0]])];

describe("impossible outcomes", () => {
  test("on both sides contribute exactly 0, in value and gradient", () => {
    for (const direction of ["p||q", "q||p"] as const) {
      const { value, gradient } = klDivergence.withGradient(P, Q, { direction });
      const without = klDivergence.withGradient(logprobs([[0.5, 0.5]]), logprobs([[0.2, 0.8]]), { direction });
      expect(value).toBe(without.value);
      expect([...gradient.data]).toEqual([...without.gradient.data, 0]);
    }
  });

  test("for the side that is summed over, contribute 0 too", () => {
    expect(klDivergence(P, logprobs([[0.25, 0.25, 0.5]]))).toBeCloseTo(Math.LN2, 7);
  });

  test("for the other side alone make the value +∞, with no gradient", () => {
    const everything = logprobs([[0.25, 0.25, 0.5]]);
    for (const [p, q, direction] of [
      [everything, P, "p||q"],
      [P, everything, "q||p"],
    ] as const) {
      const { value, gradient } = klDivergence.withGradient(p, q, { direction });
      expect(value).toBe(Number.POSITIVE_INFINITY);
      for (const g of gradient.data) expect(g).toBeNaN();
    }
    expect(renyi(everything, P, { alpha: 2 })).toBe(Number.POSITIVE_INFINITY);
    expect(renyi(everything, P, { alpha: 0.5 })).toBeCloseTo(Math.LN2, 6);
    expect(jensenShannon(everything, P)).toBeLessThan(Math.LN2);
  });

  test("no overlap at all: Rényi of any order is +∞", () => {
    for (const alpha of [0, 0.5, 1, 2]) {
      expect(renyi(logprobs([[1, 0]]), logprobs([[0, 1]]), { alpha })).toBe(Number.POSITIVE_INFINITY);
    }
  });
});

describe("only outcomes of log-probability −∞ are impossible, however small the others are", () => {
  // Below 64 outcomes the formula computes the row, from 64 on the kernel.
  describe.each([3, 128])("of %i outcomes", (size) => {
    const row = (second: number) => matrix([Array.from({ length: size }, (_, i) => (i === 1 ? second : 0))]);
    const logits = { input: "logits" } as const;

    test.each([-50, -95, -110, -700, -800, -1e5, -1e30])("exp(%d) on the side that is averaged over: +∞", (logit) => {
      const [possible, impossible] = [row(logit), row(NONE)];
      expect(klDivergence(possible, impossible, logits)).toBe(Number.POSITIVE_INFINITY);
      expect(klDivergence(impossible, possible, { ...logits, direction: "q||p" })).toBe(Number.POSITIVE_INFINITY);
      expect(jeffreys(possible, impossible, logits)).toBe(Number.POSITIVE_INFINITY);
      expect(jeffreys(impossible, possible, logits)).toBe(Number.POSITIVE_INFINITY);
      expect(renyi(possible, impossible, logits)).toBe(Number.POSITIVE_INFINITY);
      expect(jensenShannon(possible, impossible, logits)).toBeLessThan(1e-20);
      const trusted = { input: { p: "logits", q: "logprobs" }, check: false } as const;
      expect(klDivergence(possible, logSoftmax(impossible), trusted)).toBe(Number.POSITIVE_INFINITY);
      expect(klDivergence(possible, possible, logits)).toBe(0);
      expect(klDivergence(impossible, impossible, logits)).toBe(0);
    });

    test("a mask that both sides have is finite, whatever its number", () => {
      for (const mask of [-1e9, -1e30, Math.fround(-3.4e38)]) {
        expect(klDivergence(row(mask), row(mask), logits)).toBe(0);
        expect(klDivergence(row(NONE), row(mask), logits)).toBeLessThan(1e-6);
      }
    });

    test.each([
      [2, -800, -2000, 400],
      [2, -760, -1000, 0],
      [3, -1000, -2000, 1000 / 2],
      [1.5, -3000, -10_000, 500 / 0.5],
    ])("Rényi of order %d, exp(%d) against exp(%d): %d nats", (alpha, p, q, nats) => {
      const { value, gradient } = renyi.withGradient(row(p), row(q), { ...logits, alpha });
      // log(Σ p^α·q^(1−α)): the second outcome's term, over the others that both sides share.
      const expected = nats - (nats === 0 ? 0 : Math.log(size - 1) / (alpha - 1));
      expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-12 * Math.max(1, expected));
      const pull = nats === 0 ? 0 : alpha / (alpha - 1);
      expect(gradient.data[1]).toBeCloseTo(pull, 6);
      expect(gradient.data.reduce((sum, g) => sum + g, 0)).toBeCloseTo(0, 5);
    });
  });

  test("Rényi of an order up to 1e200", () => {
    const [p, q] = [matrix([[0, 1, 2]]), matrix([[1, 0, 3]])];
    const { value, gradient } = renyi.withGradient(p, q, { input: "logits", alpha: 1e200 });
    const log = (z: Tensor) => [...logSoftmax(z).data];
    // The limit is the largest log-ratio; s is 1 there.
    expect(value).toBeCloseTo(Math.max(...log(p).map((a, i) => a - log(q)[i]!)), 6);
    log(p).forEach((a, i) => {
      expect(gradient.data[i]).toBeCloseTo((i === 1 ? 1 : 0) - Math.exp(a), 6);
    });
  });

  test.each([1e-300, 1e-17, 1e-10])("Jensen–Shannon of disjoint sides, skew %d: the entropy of the coin", (beta) => {
    const found = jensenShannon(logprobs([[1, 0]]), logprobs([[0, 1]]), { beta });
    const coin = -beta * Math.log(beta) - (1 - beta) * Math.log1p(-beta);
    expect(Math.abs(found - coin)).toBeLessThanOrEqual(1e-15 + 0.03 * coin);
  });
});

describe("extreme weights and temperatures", () => {
  const p = matrix([
    [0, 1, 1],
    [0, 0.3, 0.2],
  ]);
  const q = matrix([
    [1, 0, 0.2],
    [2, 0, 0],
  ]);
  const logits = { input: "logits" } as const;
  const equal = klDivergence.withGradient(p, q, logits);

  test.each([1e308, 1.7e308, 1e-300, 1e-320, 5e-324])("weights of %d give the mean of equal weights", (weight) => {
    const { value, gradient } = klDivergence.withGradient(p, q, { ...logits, weights: [weight, weight] });
    expect(value).toBeCloseTo(equal.value, 15);
    expect(gradient.data).toEqual(equal.gradient.data);
    const clipped = klDivergence.withGradient(p, q, { ...logits, weights: [weight, weight], clip: 0.4 });
    expect(clipped.clippedShare).toBe(klDivergence.withGradient(p, q, { ...logits, clip: 0.4 }).clippedShare);
    const known = selectTopK(q, 1);
    const { coverage, value: bound } = klDivergence.withGradient(p, known, { ...logits, weights: [weight, weight] });
    expect(coverage).toBeCloseTo(klDivergence.withGradient(p, known, logits).coverage, 15);
    expect(bound).toBeCloseTo(klDivergence(p, known, logits), 15);
  });

  test("a total weight that a part of a batch is given is scaled with its weights", () => {
    for (const weight of [1e307, 1e-310]) {
      const options = { ...logits, weights: [weight, 3 * weight], totalWeight: 8 * weight };
      const usual = { ...logits, weights: [1, 3], totalWeight: 8 };
      expect(klDivergence(p, q, options) / klDivergence(p, q, usual)).toBeCloseTo(1, 12);
    }
  });

  test("a sum keeps its size: 1e308 · 0.46 + 1e308 · 0.46", () => {
    const sum = klDivergence(p, q, { ...logits, weights: [1e308, 1e308], reduction: "sum" });
    expect(sum / 2e300).toBeCloseTo(1e8 * equal.value, 3);
  });

  test("a temperature whose inverse is too large for float64 is refused", () => {
    for (const temperature of [1e-320, 1e-201, 0, -1, Number.POSITIVE_INFINITY, Number.NaN]) {
      const message = `temperature is ${temperature}, expected a finite number above 0, at least 1e-200`;
      for (const act of [
        () => klDivergence(p, q, { ...logits, temperature }),
        () => logSoftmax(p, { temperature }),
        () => selectTopK(p, 1, { temperature }),
      ])
        expect(act).toThrow(new RangeError(message));
    }
  });

  test.each([1e-200, 1e-40, 1e-9, 1e9, 1e40, 1.7e308])("a temperature of %d is none of NaN", (temperature) => {
    const wide = (z: number) => matrix([Array.from({ length: 70 }, (_, i) => z * Math.sin(i))]);
    for (const found of [
      klDivergence(p, q, { ...logits, temperature }),
      klDivergence(wide(3), wide(4), { ...logits, temperature }),
    ]) {
      expect(found).toBeGreaterThanOrEqual(0);
      // Cold, both sides agree on the largest logit or not at all; hot, both are uniform.
      if (temperature > 1) expect(found).toBeLessThan(1e-15);
    }
    const [a, b] = logSoftmax(matrix([[0, 1]]), { temperature }).data;
    if (temperature > 1) expect(a).toBeCloseTo(b!, 8);
    else
      expect([a! / (-1 / temperature), b]).toEqual([
        temperature < 1e-38 ? Number.POSITIVE_INFINITY : expect.closeTo(1, 6),
        0,
      ]);
  });
});

describe("log-ratios are never clipped in secret", () => {
  const even = logprobs([[0.5, 0.5]]);
  const steep = matrix([[0, -150]]);

  test("a reference of e^−150: 74.31 nats and the gradient that goes with it", () => {
    const { value, gradient } = klDivergence.withGradient(even, steep);
    expect(value).toBeCloseTo(75 - Math.LN2, 5);
    expect(gradient.data[0]).toBeCloseTo(-37.5, 4);
    expect(gradient.data[1]).toBeCloseTo(37.5, 4);
  });

  test("small probabilities keep their gradient", () => {
    const { gradient } = klDivergence.withGradient(even, logprobs([[1 - 1e-12, 1e-12]]), { direction: "q||p" });
    expect(gradient.data[1]).toBeCloseTo(0.5, 7);
    const tiny = klDivergence.withGradient(matrix([[0, -40]]), even);
    expect(tiny.gradient.data[1]).toBeLessThan(0);
  });
});

describe("epsilon and clip, when asked for", () => {
  test("epsilon mixes the reference with the uniform distribution", () => {
    const smoothed = logprobs([[0.18 + 0.1 / 3, 0.72 + 0.1 / 3, 0.1 / 3]]);
    expect(klDivergence(P, Q, { epsilon: 0.1 })).toBeCloseTo(klDivergence(P, smoothed), 7);
    const everything = logprobs([[0.25, 0.25, 0.5]]);
    expect(klDivergence(everything, P, { epsilon: 1e-3 })).toBeGreaterThan(2);
    expect(klDivergence(everything, P, { epsilon: 1e-3 })).toBeLessThan(5);
  });

  test("clip caps each row, says how many, and takes their gradient away, infinite ones included", () => {
    const p = logprobs([
      [0.5, 0.5],
      [0.9, 0.1],
      [0.5, 0.5],
      [0.5, 0.5],
    ]);
    const q = logprobs([
      [0.5, 0.5],
      [0.1, 0.9],
      [1, 0],
      [0.6, 0.4],
    ]);
    const found = klDivergence.withGradient(p, q, { clip: 0.5, weights: [1, 2, 3, 4] });
    expect([...found.perRow.data].map((x) => Number(x.toFixed(4)))).toEqual([0, 0.5, 0.5, 0.0204]);
    expect(found.clippedShare).toBeCloseTo(0.5, 12);
    expect([...found.gradient.data.subarray(0, 6)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(found.gradient.data[6]).not.toBe(0);
    expect(klDivergence.withGradient(p, q).clippedShare).toBe(0);
  });

  test("clip does not turn NaN into a number", () => {
    const { value, gradient } = klDivergence.withGradient(matrix([[Number.NaN, 0]]), matrix([[0, 0]]), {
      clip: 1,
      input: "logits",
    });
    expect(value).toBeNaN();
    for (const g of gradient.data) expect(g).toBeNaN();
  });
});

test("NaN anywhere in a row is NaN out; a row of nothing is NaN out; other rows stay what they are", () => {
  const good = [0.1, 0.2];
  for (const bad of [
    [Number.NaN, 0],
    [0, Number.POSITIVE_INFINITY],
    [NONE, NONE],
  ]) {
    for (const [p, q] of [
      [
        [bad, good],
        [good, good],
      ],
      [
        [good, good],
        [bad, good],
      ],
    ] as const) {
      for (const f of [klDivergence, jensenShannon, totalVariation, renyi]) {
        const { perRow, gradient, value } = f.withGradient(matrix(p), matrix(q), { input: "logits" });
        expect(perRow.data[0]).toBeNaN();
        expect(perRow.data[1]).toBe(0);
        expect(value).toBeNaN();
        expect([...gradient.data].map(Number.isNaN)).toEqual([true, true, false, false]);
      }
    }
  }
});

describe("log-probabilities that are none are refused, with the row and its sum", () => {
  test.each([
    ["probabilities of sampled tokens", [0.9, 0.8, 0.95].map(Math.log), "row 1 of q sums to 2.65"],
    ["logits", [1, 2, 3], "row 1 of q sums to 30.19"],
    ["tempered ones", [0.5, 0.3, 0.2].map((p) => Math.log(p) / 2), "row 1 of q sums to 1.702"],
    ["nothing", [NONE, NONE, NONE], "row 1 of q sums to 0,"],
  ])("%s", (_, row, message) => {
    const good = [0.5, 0.3, 0.2].map(Math.log);
    for (const temperature of [1, 2]) {
      const compare = () => klDivergence(matrix([good, good]), matrix([good, row]), { temperature });
      expect(compare).toThrow(NotNormalizedError);
      expect(compare).toThrow(message);
    }
    expect(klDivergence(matrix([good, good]), matrix([good, row]), { weights: [1, 0] })).toBe(0);
  });

  test("float32 rounding over a large vocabulary is not", () => {
    const size = 100_000;
    const p = logSoftmax({ data: Float32Array.from({ length: size }, (_, i) => Math.sin(i)), shape: [1, size] });
    expect(klDivergence(p, p)).toBe(0);
  });
});

describe("bad arguments are refused in one sentence", () => {
  const [p, q] = [
    logprobs([
      [0.5, 0.5],
      [0.5, 0.5],
    ]),
    logprobs([[0.5, 0.5]]),
  ];
  test.each([
    [() => klDivergence(p, q), "p is [2, 2] and q [1, 2]: both must have the same shape [..., V]"],
    [() => klDivergence(p, { ...p, shape: [4] }), "p is [2, 2] and q [4]"],
    [() => klDivergence({ ...p, shape: [3, 2] }, p), "p is [3, 2] and q [2, 2]"],
    [() => klDivergence({ ...q, shape: [2, 2] }, p), "p is [2, 2] and holds 2 numbers, expected 4"],
    [() => klDivergence(p, p, { weights: [1] }), "found 1 weights for 2 rows"],
    [() => klDivergence(p, p, { weights: [1, -1], totalWeight: 3 }), "the weight of row 1 is -1"],
    [() => klDivergence(p, p, { weights: [Number.NaN, 1] }), "the weight of row 0 is NaN"],
    [() => klDivergence(p, p, { temperature: 0 }), "temperature is 0"],
    [() => klDivergence(p, p, { epsilon: 1 }), "epsilon is 1"],
    [() => klDivergence(p, p, { clip: 0 }), "clip is 0"],
    [() => klDivergence(p, p, { totalWeight: Number.NaN }), "totalWeight is NaN"],
    [
      () => klDivergence(p, p, { direction: "backward" as "q||p" }),
      'direction is "backward", expected "p||q" (alias "forward") or "q||p" (alias "reverse")',
    ],
    [() => klDivergence(p, p, { reduction: "average" as "mean" }), 'reduction is "average"'],
    [() => klDivergence(p, p, { input: "probs" as "logits" }), 'input is "probs"'],
    [() => klDivergence.withGradient(p, p, { out: { gradient: q } }), "out.gradient holds 2 numbers, expected 4"],
    [() => jensenShannon(p, p, { beta: 1.5 }), "beta is 1.5"],
    [() => renyi(p, p, { alpha: -1 }), "alpha is -1"],
    [() => klDivergence(tensor([], [3, 0]), tensor([], [3, 0])), "at least one outcome"],
    [
      () => crossEntropy(p, { data: Int32Array.of(0), shape: [1] }),
      "found 1 target tokens for p [2, 2]: give one per row, 2",
    ],
    [
      () => crossEntropy(p, { data: Int32Array.of(0, 2), shape: [2] }),
      "the target of row 1 is token 2, expected 0 to 1",
    ],
    [() => logSoftmax(p, { out: q }), "out holds 2 numbers, expected 4"],
  ])("%#", (act, message) => {
    expect(act).toThrow(RangeError);
    expect(act).toThrow(message);
  });

  test("a cross-entropy reads no target of a row of weight 0", () => {
    expect(crossEntropy(p, { data: Int32Array.of(0, -100), shape: [2] }, { weights: [1, 0] })).toBeCloseTo(Math.LN2, 7);
  });
});

test("an earlier result can be written over, and its masked rows are cleared", () => {
  const p = logprobs([
    [0.5, 0.5],
    [0.9, 0.1],
  ]);
  const q = logprobs([
    [0.2, 0.8],
    [0.6, 0.4],
  ]);
  const first = klDivergence.withGradient(p, q);
  const second = klDivergence.withGradient(q, p, { out: first, weights: [0, 1] });
  expect(second.gradient.data).toBe(first.gradient.data);
  expect(second.perRow.data).toBe(first.perRow.data);
  expect(second).toEqual(klDivergence.withGradient(q, p, { weights: [0, 1] }));
  const inPlace = { data: p.data.slice(), shape: p.shape };
  expect(klDivergence.withGradient(inPlace, q, { out: { gradient: inPlace } }).gradient.data).toEqual(
    klDivergence.withGradient(p, q).gradient.data,
  );
  const { data } = logSoftmax(p, { out: p });
  expect(data).toBe(p.data);
});

test("any leading axes: per-row values take their shape", () => {
  const p = tensor(new Float32Array(12).fill(-Math.log(2)), [2, 3, 2]);
  expect(klDivergence(p, p, { reduction: "none" }).shape).toEqual([2, 3]);
  expect(
    klDivergence(tensor([0.5, 0.5].map(Math.log), [2]), tensor([0.5, 0.5].map(Math.log), [2]), { reduction: "none" })
      .shape,
  ).toEqual([]);
});

describe("probabilities that float64 hardly has", () => {
  test("keep the Jensen–Shannon divergence finite: it never is above that of the coin", () => {
    const [p, q] = [tensor([0, -744, NONE], [1, 3]), tensor([0, NONE, -1], [1, 3])];
    for (const beta of [0.1, 0.5, 0.999]) {
      for (const [one, other] of [
        [p, q],
        [q, p],
      ] as const) {
        const { value, gradient } = jensenShannon.withGradient(one, other, { input: "logits", beta });
        expect(value).toBeGreaterThan(0);
        expect(value).toBeLessThan(Math.LN2);
        for (const g of gradient.data) expect(Number.isFinite(g)).toBe(true);
      }
    }
  });
});

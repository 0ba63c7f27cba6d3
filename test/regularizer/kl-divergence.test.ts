import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { logSoftmax, selectTopK, type Tensor, tensor, topK } from "../../src/divergence/index.ts";
import { computedReference } from "../../src/reference/index.ts";
import { compose, compute, KLDivergence, type KLDivergenceOptions } from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { datumByDatum, inParts, positionByPosition } from "../loss/in-parts.ts";
import { datumOf } from "./datums.ts";

/** Two datums over four tokens, three rows and two, with rows that do not count. */
const WEIGHTS = [
  [0, 1, 0.5],
  [2, 0],
];
const logits = (seed: number, rows: number) =>
  oracle.matrix(Array.from({ length: rows }, (_, r) => [0, 1, 2, 3].map((v) => 2 * Math.sin(seed + 7 * r + 3 * v))));
const MODEL = [logits(1, 3), logits(2, 2)].map((z) => logSoftmax(z));
const REFERENCE = [logits(3, 3), logits(4, 2)].map((z) => logSoftmax(z));
const DATA = WEIGHTS.map((weights, i) =>
  datumOf(weights, { source: `train.jsonl:${i + 1}`, fields: { base: REFERENCE[i]! } }),
);

const regularizer = (options: KLDivergenceOptions = {}) =>
  new KLDivergence({ referenceLogprobs: REFERENCE, ...options });
const row = ({ data, shape }: Tensor, r: number) => [...data.subarray(r * shape[1]!, (r + 1) * shape[1]!)];

/** Σ w·f(model, reference) / Σ w from the definition, and each row that counts. */
function definition(f: (p: number[], q: number[]) => number, model = MODEL) {
  const rows = WEIGHTS.flatMap((weights, d) =>
    weights.map((weight, r) => ({
      weight,
      d,
      r,
      value: f(oracle.softmax(row(model[d]!, r)), oracle.softmax(row(REFERENCE[d]!, r))),
    })),
  );
  return {
    mean: rows.reduce((sum, { weight, value }) => sum + weight * value, 0) / 3.5,
    counted: rows.filter(({ weight }) => weight > 0),
  };
}

const modelFirst = { direction: "model||reference" } as const;
const referenceFirst = (p: number[], q: number[]) => oracle.kl(q, p);

const DIRECTIONS = [
  ["the default, KL(reference‖model)", {}, referenceFirst],
  ["reference||model", { direction: "reference||model" }, referenceFirst],
  ["reverse", { direction: "reverse" }, referenceFirst],
  ["model||reference", modelFirst, oracle.kl],
  ["forward", { direction: "forward" }, oracle.kl],
  ["symmetric", { symmetric: true }, oracle.jensenShannon],
] as const;
const QUANTILES = ["kl_median", "kl_p95", "kl_p99"];

describe.each(DIRECTIONS)("%s", (_, options, f) => {
  test("loss, metrics and values are the definition's, over the positions that count", async () => {
    const { loss, metrics, positions } = await compute(regularizer(options), DATA, MODEL);
    const { mean, counted } = definition(f);
    expect(loss).toBeCloseTo(mean, 10);
    const values = counted.map(({ value }) => value);
    expect(Object.keys(metrics)).toEqual(["kl_divergence", "kl_max", "kl_min", ...QUANTILES]);
    expect(metrics.kl_divergence).toBe(loss);
    expect(metrics.kl_max).toBeCloseTo(Math.max(...values), 6);
    expect(metrics.kl_min).toBeCloseTo(Math.min(...values), 6);
    const heaviest = counted.find(({ weight }) => weight === 2)!;
    expect(metrics.kl_median).toBeCloseTo(heaviest.value, 6);
    expect(metrics.kl_p99).toBe(metrics.kl_max);
    expect(positions!.map(({ datum, from }) => [datum, from])).toEqual(DATA.map((datum) => [datum, 0]));
    for (const { d, r, value } of counted) expect(positions![d]!.values[r]).toBeCloseTo(value, 6);
    expect([positions![0]!.values[0], positions![1]!.values[1]]).toEqual([0, 0]);
  });

  test("the gradient is that of the loss by finite differences, and not zero", async () => {
    const { gradient } = await compute(regularizer(options), DATA, MODEL);
    let norm = 0;
    for (const [d, weights] of WEIGHTS.entries()) {
      expect(gradient[d]!.shape).toEqual(MODEL[d]!.shape);
      for (const [r, weight] of weights.entries()) {
        const slope = oracle.numericalGradient(
          (z) => (weight / 3.5) * f(oracle.softmax(z), oracle.softmax(row(REFERENCE[d]!, r))),
          row(MODEL[d]!, r),
        );
        row(gradient[d]!, r).forEach((g, v) => {
          expect(g).toBeCloseTo(slope[v]!, 6);
          norm += g * g;
        });
      }
    }
    expect(Math.sqrt(norm)).toBeGreaterThan(0.01);
  });

  test("descending it reaches the reference", async () => {
    const z = MODEL.map(({ data, shape }) => ({ data: data.slice(), shape }));
    const kl = regularizer(options);
    const losses: number[] = [];
    for (let step = 0; step < 400; step++) {
      const { loss, gradient } = await compute(
        kl,
        DATA,
        z.map((logits) => logSoftmax(logits)),
      );
      losses.push(loss);
      for (const [d, { data }] of gradient.entries()) for (const [i, g] of data.entries()) z[d]!.data[i]! -= 4 * g;
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 50);
  });

  test("at the reference loss and gradient are exactly 0, unlike those of free log-probabilities", async () => {
    const { loss, gradient, metrics } = await compute(regularizer(options), DATA, REFERENCE);
    expect(loss).toBe(0);
    expect(metrics).toEqual({ kl_divergence: 0, kl_max: 0, kl_min: 0, kl_median: 0, kl_p95: 0, kl_p99: 0 });
    for (const { data } of gradient) for (const g of data) expect(Math.abs(g)).toBe(0);
  });

  test("a batch in parts gives what it gives whole", async () => {
    const kl = new KLDivergence({ referenceField: "base", ...options });
    const whole = await compute(kl, DATA, MODEL);
    for (const parts of [datumByDatum(DATA), positionByPosition(DATA)]) {
      const found = await inParts(kl, DATA, MODEL, parts);
      expect(found.loss).toBeCloseTo(whole.loss, 12);
      expect({ ...found, loss: whole.loss }).toEqual({
        ...whole,
        metrics: { ...whole.metrics, kl_divergence: found.metrics.kl_divergence },
      });
    }
  });

  test("padding and prompt positions change nothing, whatever they hold", async () => {
    const [p, q] = [MODEL[0]!, REFERENCE[0]!];
    const junk = (source: Tensor): Tensor => ({
      data: Float32Array.of(...source.data, Number.NaN, 5, 0, -1, ...source.data.subarray(0, 4)),
      shape: [5, 4],
    });
    const plain = await compute(new KLDivergence({ referenceLogprobs: [q], ...options }), [datumOf(WEIGHTS[0]!)], [p]);
    const padded = await compute(
      new KLDivergence({ referenceLogprobs: [junk(q)], ...options }),
      [datumOf([...WEIGHTS[0]!, 0, 0])],
      [junk(p)],
    );
    expect(padded.metrics).toEqual(plain.metrics);
    expect([...padded.gradient[0]!.data]).toEqual([...plain.gradient[0]!.data, ...new Array(8).fill(0)]);
  });
});

test("every datum is compared with its own reference", async () => {
  const field = new KLDivergence({ referenceField: "base" });
  const { loss } = await compute(field, DATA, MODEL);
  expect(loss).toBe((await compute(regularizer(), DATA, MODEL)).loss);
  const other = logSoftmax(logits(9, 2));
  const changed = await compute(field, [DATA[0]!, datumOf(WEIGHTS[1]!, { fields: { base: other } })], MODEL);
  expect(Math.abs(changed.loss - loss)).toBeGreaterThan(0.01);
  const missing = datumOf(WEIGHTS[1]!, { source: "train.jsonl:2" });
  await expect(compute(field, [DATA[0]!, missing], MODEL)).rejects.toThrow(
    'datum 1 (train.jsonl:2) has no field "base"',
  );
});

test("log-probabilities of target tokens alone are refused: they are no distribution", async () => {
  const targets = tensor([0.9, 0.8, 0.95].map(Math.log), [3]);
  const sampled = new KLDivergence({ referenceLogprobs: [targets] });
  await expect(compute(sampled, [DATA[0]!], [targets])).rejects.toThrow(
    /^KL divergence needs the distribution over the whole vocabulary, \[n, V\] .* was given log-probabilities of targets/,
  );
  await expect(compute(sampled, [DATA[0]!], [MODEL[0]!])).rejects.toThrow(
    "model log-probabilities [3, 4], reference (referenceLogprobs) [3]",
  );
});

test("symmetric is Jensen–Shannon: bounded, where the mean of the two KLs is not", async () => {
  const [p, q] = [oracle.matrix([[0, -60]]), oracle.matrix([[-60, 0]])];
  const { loss } = await compute(new KLDivergence({ referenceLogprobs: q, symmetric: true }), [datumOf([1])], [p]);
  expect(loss).toBeCloseTo(Math.LN2, 10);
  expect(oracle.jeffreys(oracle.softmax([0, -60]), oracle.softmax([-60, 0]))).toBeCloseTo(60, 5);
});

describe("reduction", () => {
  test("sum is mean × Σ w, in loss and gradient; metrics stay those of the mean", async () => {
    const [mean, sum] = [
      await compute(regularizer(), DATA, MODEL),
      await compute(regularizer({ reduction: "sum" }), DATA, MODEL),
    ];
    expect(sum.loss).toBeCloseTo(3.5 * mean.loss, 12);
    expect(sum.metrics).toEqual(mean.metrics);
    sum.gradient.forEach(({ data }, d) => {
      data.forEach((g, i) => {
        expect(g).toBeCloseTo(3.5 * mean.gradient[d]!.data[i]!, 6);
      });
    });
  });

  test("none leaves the values in positions, and trains on their mean", async () => {
    const [mean, none] = [
      await compute(regularizer(), DATA, MODEL),
      await compute(regularizer({ reduction: "none" }), DATA, MODEL),
    ];
    expect(none).toEqual(mean);
    expect(none.positions!.map(({ values }) => values.length)).toEqual([3, 2]);
    expect(none.positions![0]!.values[0]).toBe(0);
    expect(none.positions![0]!.values[1]).toBeGreaterThan(0);
  });

  test("a batch in which no position counts: 0, without extremes and quantiles", async () => {
    const { loss, metrics, gradient } = await compute(
      new KLDivergence({ referenceLogprobs: REFERENCE[0]! }),
      [datumOf([0, 0, 0])],
      [MODEL[0]!],
    );
    expect({ loss, metrics }).toEqual({ loss: 0, metrics: { kl_divergence: 0 } });
    expect(gradient[0]!.data.every((g) => g === 0)).toBe(true);
  });
});

describe("nothing is clipped unless asked for", () => {
  test("a log-ratio of 150 counts in full, and has a gradient", async () => {
    const steep = oracle.matrix([[0, -150]]);
    const { loss, gradient } = await compute(
      new KLDivergence({ referenceLogprobs: steep, ...modelFirst }),
      [datumOf([1])],
      [oracle.logprobs([[0.5, 0.5]])],
    );
    expect(loss).toBeCloseTo(74.3068528, 5);
    expect(gradient[0]!.data[1]).toBeCloseTo(37.5, 3);
  });

  test("tokens impossible on both sides give neither NaN nor a gradient", async () => {
    const [p, q] = [oracle.logprobs([[0.5, 0.5, 0]]), oracle.logprobs([[0.2, 0.8, 0]])];
    const { loss, gradient } = await compute(
      new KLDivergence({ referenceLogprobs: q, ...modelFirst }),
      [datumOf([1])],
      [p],
    );
    expect(loss).toBeCloseTo(0.2231435513, 7);
    expect(gradient[0]!.data[2]).toBe(0);
    expect(gradient[0]!.data[0]).toBeGreaterThan(0);
  });

  const positions = { data: Int32Array.of(5, 7), shape: [2] };
  const datum = datumOf([1, 1], { source: "train.jsonl:9" });
  const data = [{ ...datum, lossInputs: { ...datum.lossInputs, positions } }];
  const [everything, half] = [
    oracle.logprobs([
      [0.5, 0.5],
      [0.75, 0.25],
    ]),
    oracle.logprobs([
      [0.5, 0.5],
      [1, 0],
    ]),
  ];

  test.each([
    [
      "forward",
      everything,
      half,
      /^KL\(model‖reference\) is infinite at datum 0 \(train.jsonl:9\), position 1 \(after token 7 of the input\): the model gives token 1 the probability 0.250, the reference .* none; set epsilon/,
    ],
    [
      "reverse",
      half,
      everything,
      /^KL\(reference‖model\) is infinite at datum 0 \(train.jsonl:9\), position 1 \(after token 7 of the input\): the reference gives token 1 the probability 0.250, the model .* none; set clip/,
    ],
  ] as const)(
    "%s: an infinite value is an error that names datum, position and token",
    async (direction, p, q, message) => {
      const infinite = compute(new KLDivergence({ referenceLogprobs: q, direction }), data, [p]);
      await expect(infinite).rejects.toThrow(UserError);
      await expect(infinite).rejects.toThrow(message);
    },
  );

  test("epsilon or clip makes it finite; clip reports the capped share", async () => {
    const smoothed = await compute(new KLDivergence({ referenceLogprobs: half, epsilon: 0.01, ...modelFirst }), data, [
      everything,
    ]);
    expect(smoothed.metrics.kl_max).toBeCloseTo(oracle.kl([0.75, 0.25], [0.995, 0.005]), 6);
    const capped = await compute(new KLDivergence({ referenceLogprobs: half, clip: 3, ...modelFirst }), data, [
      everything,
    ]);
    expect(capped.metrics).toEqual({
      ...{ kl_divergence: 1.5, kl_max: 3, kl_min: 0, kl_clipped: 0.5, kl_median: 0, kl_p95: 3, kl_p99: 3 },
    });
  });

  test("Jensen–Shannon needs neither", async () => {
    const { loss } = await compute(new KLDivergence({ referenceLogprobs: half, symmetric: true }), data, [everything]);
    expect(loss).toBeCloseTo(oracle.jensenShannon([0.75, 0.25], [1, 0]) / 2, 6);
  });
});

test("computeReference is called once a step, for all data and all regularizers that share it", async () => {
  let calls = 0;
  const first = new KLDivergence({
    computeReference: async () => {
      calls++;
      return REFERENCE;
    },
  });
  const second = new KLDivergence({ name: "other", reference: first.reference, direction: "reverse" });
  const both = compose([{ regularizer: first }, { regularizer: second }]);
  await compute(both, DATA, MODEL);
  expect(calls).toBe(1);
  await inParts(both, DATA, MODEL, positionByPosition(DATA));
  expect(calls).toBe(2);
});

describe("a reference that does not fit is refused, naming the datum", () => {
  const [p, q] = [MODEL[0]!, REFERENCE[0]!];
  const spoil = (at: number, value: number): Tensor => ({
    data: q.data.map((x, i) => (i === at ? value : x)),
    shape: q.shape,
  });
  test.each([
    [
      "fewer rows",
      { data: q.data.slice(4), shape: [2, 4] },
      "shape mismatch in KL divergence, datum 1 (train.jsonl:1): model log-probabilities [3, 4], reference (referenceLogprobs) [2, 4]; the reference needs one row per target token of the datum",
    ],
    [
      "another vocabulary",
      logSoftmax(tensor(new Float32Array(15), [3, 5])),
      "model log-probabilities [3, 4], reference (referenceLogprobs) [3, 5]; both must be over the same vocabulary",
    ],
    ["too few numbers", { data: q.data.slice(1), shape: q.shape }, "the reference hold 11 numbers, expected 12"],
    [
      "NaN",
      spoil(6, Number.NaN),
      "the log-probabilities of the reference (referenceLogprobs) hold NaN at datum 1 (train.jsonl:1), position 1, token 2",
    ],
    [
      "not normalized",
      spoil(6, 0),
      "the reference (referenceLogprobs), datum 1 (train.jsonl:1), position 1: the probabilities sum to",
    ],
    ["logits", logits(1, 3), "position 1: the probabilities sum to"],
  ])("%s", async (_, wrong, message) => {
    const found = compute(regularizer({ referenceLogprobs: [q, wrong] }), [datumOf([1, 1, 1]), DATA[0]!], [p, p]);
    await expect(found).rejects.toThrow(UserError);
    await expect(found).rejects.toThrow(message);
  });

  test("too few references, too few log-probabilities, positions the datum does not have", async () => {
    await expect(compute(new KLDivergence({ computeReference: () => [q] }), DATA, MODEL)).rejects.toThrow(
      "the reference (computeReference) returned 1 tensors for 2 datums",
    );
    await expect(compute(regularizer(), DATA, [p])).rejects.toThrow("found log-probabilities of 1 datums for 2");
    await expect(compute(new KLDivergence({ referenceLogprobs: q }), [datumOf([1])], [p])).rejects.toThrow(
      "the datum has 1 target tokens",
    );
  });

  test("NaN of the model is told apart from NaN of the reference", async () => {
    const broken = { data: p.data.map((x, i) => (i === 5 ? Number.NaN : x)), shape: p.shape };
    await expect(compute(regularizer({ referenceLogprobs: q }), [DATA[0]!], [broken])).rejects.toThrow(
      "the log-probabilities of the model hold NaN at datum 0 (train.jsonl:1), position 1 (after token 1 of the input), token 1",
    );
  });

  test("a negative weight is refused", async () => {
    await expect(
      compute(regularizer({ referenceLogprobs: q }), [datumOf([1, -1, 1], { source: "x:1" })], [p]),
    ).rejects.toThrow("datum 0 (x:1): the weight of row 1 is -1");
  });
});

describe("invalid settings are refused at construction", () => {
  test.each([
    [{ epsilon: 1 }, "KL divergence: epsilon is 1"],
    [{ clip: -1 }, "KL divergence: clip is -1"],
    [{ direction: "sideways" as "reverse" }, 'KL divergence: direction is "sideways"'],
    [{ reduction: "batchmean" as "mean" }, 'KL divergence: reduction is "batchmean"'],
  ])("%o", (options, message) => {
    expect(() => regularizer(options)).toThrow(UserError);
    expect(() => regularizer(options)).toThrow(message);
  });

  test("so is no reference, or two", () => {
    expect(() => new KLDivergence({})).toThrow(
      /no reference distribution is given: .*referenceLogprobs.*referenceField.*computeReference/,
    );
    expect(() => regularizer({ referenceField: "base" })).toThrow(
      "referenceLogprobs and referenceField are set, expected one reference",
    );
  });
});

describe("a reference known at k tokens", () => {
  const known = (k: number) => REFERENCE.map((rows) => selectTopK(rows, k));
  const all = { direction: "reverse" } as const;

  test("the value is a lower bound that rises with k to the value over the whole vocabulary; coverage is the share that is known", async () => {
    const whole = await compute(regularizer(all), DATA, MODEL);
    let below = 0;
    let covered = 0;
    for (const k of [1, 2, 3, 4]) {
      const reference = computedReference(async () => known(k));
      const { loss, metrics } = await compute(new KLDivergence({ reference, ...all }), DATA, MODEL);
      expect(loss).toBeGreaterThanOrEqual(below - 1e-12);
      expect(loss).toBeLessThanOrEqual(whole.loss + 1e-7);
      expect(metrics.kl_coverage).toBeGreaterThan(covered);
      below = loss;
      covered = metrics.kl_coverage!;
    }
    expect(below).toBeCloseTo(whole.loss, 6);
    expect(covered).toBeCloseTo(1, 6);
    expect(whole.metrics).not.toHaveProperty("kl_coverage");
  });

  test("coverage is the weighted mean of Σq, also of a batch in parts", async () => {
    const kl = new KLDivergence({ reference: computedReference(async () => known(2)) });
    const expected = WEIGHTS.flatMap((weights, d) =>
      weights.map((weight, r) => {
        const best = oracle.softmax(row(REFERENCE[d]!, r)).sort((a, b) => b - a);
        return (weight * (best[0]! + best[1]!)) / 3.5;
      }),
    );
    const { metrics } = await inParts(kl, DATA, MODEL, datumByDatum(DATA));
    expect(metrics.kl_coverage).toBeCloseTo(
      expected.reduce((a, b) => a + b),
      6,
    );
  });

  test("missing positions, and a rest that the reference gives no probability, are named", async () => {
    const one = selectTopK(REFERENCE[1]!, 2);
    const shifted = computedReference(async () => [one, one]);
    await expect(compute(new KLDivergence({ reference: shifted }), DATA, MODEL)).rejects.toThrow(
      "datum 0 (train.jsonl:1): model log-probabilities [3, 4], reference (computeReference) [2, 2] of the top-k; the reference needs one row per target token of the datum",
    );
    const sure = topK(
      { data: Int32Array.of(2), shape: [1, 1] },
      { data: Float32Array.of(0), shape: [1, 1] },
      { tail: { data: Float32Array.of(Number.NEGATIVE_INFINITY), shape: [1] } },
    );
    const reference = computedReference(async () => [sure]);
    const model = logSoftmax(oracle.matrix([[0, 0, 0, 0]]));
    const kl = new KLDivergence({ reference, direction: "model||reference" });
    await expect(compute(kl, [datumOf([1])], [model])).rejects.toThrow(
      "the model gives the tokens outside its top-k the probability 0.750",
    );
  });
});

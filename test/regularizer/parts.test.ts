import { numpy as np } from "@jax-js/jax";
import { describe, expect, test } from "vitest";
import { createRandom, shuffled } from "../../src/common/random.ts";
import type { Datum } from "../../src/data/datum.ts";
import { logSoftmax, selectTopK, type Tensor } from "../../src/divergence/index.ts";
import { computedReference } from "../../src/reference/index.ts";
import {
  Consistency,
  type ConsistencyOptions,
  compose,
  compute,
  differentiable,
  Entropy,
  excludeTokens,
  JensenShannon,
  KLDivergence,
  type Penalty,
  perPosition,
  type Regularizer,
  rowsOf,
  tokenDropout,
  tokenReplacement,
  weightedMean,
} from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { datumByDatum, inParts, type Parts, positionByPosition, shuffledParts, whole } from "../loss/in-parts.ts";
import { certainty } from "./certainty.ts";
import { datumOf } from "./datums.ts";

/** @file Every kind of regularizer measures the same of a batch whole and in parts, in any order. */

const SIZE = 5;
const WEIGHTS = [
  [0, 1, 0.5, 1, 2, 1, 0, 1],
  [2, 0, 1],
  [1, 1, 0.25, 1, 1, 0],
];

/** What depends on every token read up to a position: `reads` of 2 is another model than of 1. */
function distributions(data: readonly Datum[], reads: number): Tensor[] {
  return data.map(({ modelInput, lossInputs: { positions, target_tokens } }) => {
    const rows = Array.from(target_tokens.data, (_, row) => {
      const read = modelInput.subarray(0, (positions?.data[row] ?? row) + 1);
      const state = read.reduce((state, token) => (state * 31 + token) % 1009, 7);
      return Array.from({ length: SIZE }, (_, v) => 2 * Math.sin(reads * state + 2.3 * v));
    });
    return logSoftmax(oracle.matrix(rows));
  });
}

const TEXTS = WEIGHTS.map((weights, i) => ({
  ...datumOf(weights, { targets: weights.map((_, r) => (i + 2 * r) % SIZE), source: `train.jsonl:${i + 1}` }),
  modelInput: Int32Array.from(weights, (_, r) => (3 * i + r * r) % SIZE),
}));
const REFERENCE = distributions(TEXTS, 2);
const DATA: readonly Datum[] = TEXTS.map((datum, i) => ({
  ...datum,
  lossInputs: { ...datum.lossInputs, base: REFERENCE[i]! },
}));
const MODEL = distributions(DATA, 1);

const model = { distributions: async (data: readonly Datum[]) => distributions(data, 1) };
const kl = (options = {}) => new KLDivergence({ referenceField: "base", ...options });
const consistency = (view: ConsistencyOptions["view"]) => new Consistency({ model, view });
const topK = () => computedReference(async (data) => data.map((_, i) => selectTopK(REFERENCE[i]!, 2)));
const squaredError = (options = {}) =>
  perPosition({
    name: "squared_error",
    referenceField: "base",
    measure: ({ logP, logQ }) => ({
      value: logP.reduce((sum, x, i) => sum + (x - logQ[i]!) ** 2, 0),
      gradient: logP.map((x, i) => 2 * (x - logQ[i]!)),
    }),
    ...options,
  });
const byFunction = () =>
  differentiable({
    name: "by_function",
    referenceField: "base",
    fn: (logprobs: np.Array, reference: np.Array) => np.square(logprobs.sub(reference)).mean(-1),
  });
/** Another formula at each position of each datum. */
const placed = () =>
  perPosition({
    name: "placed",
    measure: ({ p, datum, position }) => {
      const factor = 1 + position + 10 * DATA.indexOf(datum);
      return { value: factor * p[0]!, gradient: p.map((x, i) => (i === 0 ? factor * x : 0)) };
    },
  });
const KINDS: Readonly<Record<string, () => Regularizer>> = {
  "KL(reference‖model)": () => kl(),
  "KL(model‖reference)": () => kl({ direction: "model||reference" }),
  "KL, symmetric": () => kl({ symmetric: true }),
  "KL with clip": () => kl({ clip: 0.5 }),
  "KL with epsilon": () => kl({ epsilon: 0.1 }),
  "KL, sum": () => kl({ reduction: "sum" }),
  "KL(reference‖model), top-k reference": () => new KLDivergence({ reference: topK() }),
  "KL(model‖reference), top-k reference": () =>
    new KLDivergence({ reference: topK(), direction: "model||reference", clip: 0.5 }),
  "Jensen–Shannon": () => new JensenShannon({ referenceField: "base", beta: 0.3 }),
  "Jensen–Shannon, top-k reference": () => new JensenShannon({ reference: topK() }),
  "entropy bonus": () => new Entropy(),
  "entropy penalty": () => new Entropy({ mode: "penalty", temperature: 2 }),
  "consistency, tokens replaced": () => consistency(tokenReplacement({ rate: 0.3 })),
  "consistency, tokens dropped": () => consistency(tokenDropout({ rate: 0.3 })),
  perPosition: () => squaredError(),
  "perPosition, sum": () => squaredError({ reduction: "sum" }),
  "perPosition, by datum and position": placed,
  "on the contract": certainty,
  differentiable: byFunction,
  "excludeTokens around a KL": () => excludeTokens(kl(), [0, 3]),
  "excludeTokens around consistency": () => excludeTokens(consistency(tokenReplacement({ rate: 0.3 })), [0, 3]),
  "compositions in a composition": () =>
    compose([
      {
        regularizer: compose([{ regularizer: kl() }, { regularizer: new Entropy(), weight: 0.1 }], { name: "inner" }),
        weight: 2,
      },
      { regularizer: excludeTokens(squaredError(), [1]), weight: 0.3 },
      { regularizer: byFunction(), weight: 0.2 },
      { regularizer: consistency(tokenDropout({ rate: 0.3 })), weight: 0.5 },
    ]),
};

const SPLITS: readonly (readonly [string, Parts])[] = [
  ["whole", whole(DATA)],
  ["a datum a part", datumByDatum(DATA)],
  ["datums in reverse", [...datumByDatum(DATA)].reverse()],
  ["a position a part", positionByPosition(DATA)],
  ["positions in shuffled order", shuffled(positionByPosition(DATA), createRandom(5))],
  ...[1, 2, 3].map((seed) => [`cut anywhere, ${seed}`, shuffledParts(DATA, seed)] as const),
];

const near = (found: number | undefined, expected: number, what: string) =>
  expect(Math.abs(found! - expected), `${what}: ${found}, expected ${expected}`).toBeLessThan(1e-6);

function expectSame(found: Penalty, expected: Penalty): void {
  near(found.loss, expected.loss, "loss");
  expect(Object.keys(found.metrics)).toEqual(Object.keys(expected.metrics));
  for (const [name, value] of Object.entries(expected.metrics)) near(found.metrics[name], value, name);
  for (const [d, { data }] of expected.gradient.entries()) {
    for (const [i, slope] of data.entries()) near(found.gradient[d]!.data[i], slope, `gradient ${d}, ${i}`);
  }
  expect(found.positions?.map(({ datum }) => datum)).toEqual(expected.positions?.map(({ datum }) => datum));
  for (const [d, { values }] of (expected.positions ?? []).entries()) {
    for (const [i, value] of values.entries()) near(found.positions![d]!.values[i], value, `value ${d}, ${i}`);
  }
}

describe.each(Object.entries(KINDS))("%s", (_, make) => {
  test.each(SPLITS)("%s", async (_, parts) => {
    const step = { number: 7, full: true };
    const expected = await compute(make(), DATA, MODEL, step);
    expect(Math.abs(expected.loss)).toBeGreaterThan(0.01);
    expect(Math.max(...expected.gradient.map(({ data }) => Math.max(...data)))).toBeGreaterThan(1e-3);
    expectSame(await inParts(make(), DATA, MODEL, parts, { step }), expected);
  });
});

describe("names are free: nothing is merged by them", () => {
  // Two texts of one position each, whose first token has the probability 0.5 and 0.9.
  const data = [datumOf([1]), datumOf([1])];
  const logprobs = [oracle.logprobs([[0.5, 0.5]]), oracle.logprobs([[0.9, 0.1]])];
  const names = ["plain", "soft_max", "my_min", "weight", "cross_entropy"];
  const first = (name: string) =>
    perPosition({ name, measure: ({ p }) => ({ value: p[0]!, gradient: p.map((x, i) => (i === 0 ? x : 0)) }) });

  test.each(names)("perPosition named %s, one text a part", async (name) => {
    const alone = await inParts(first(name), data, logprobs, datumByDatum(data));
    near(alone.loss, 0.7, "loss");
    near(alone.metrics[name], 0.7, name);
    near(alone.metrics[`${name}_max`], 0.9, "maximum");
    near(alone.metrics[`${name}_min`], 0.5, "minimum");
  });

  test("all of them in one composition", async () => {
    const all = compose(names.map((name) => ({ regularizer: first(name), weight: 1 })));
    const { loss, metrics } = await inParts(all, data, logprobs, datumByDatum(data));
    near(loss, 5 * 0.7, "loss");
    for (const name of names) near(metrics[`${name}/${name}`], 0.7, name);
  });

  test("a metric of a regularizer on the contract is what it says at the end, not a sum over parts", async () => {
    const tempered: Regularizer = {
      name: "tempered",
      begin: (batch) => {
        const mean = weightedMean(batch);
        return {
          add: (part, into) => {
            for (const { span, row, logP } of rowsOf(batch, part, into)) mean.add(span, row, Math.exp(logP[0]!));
          },
          end: () => ({ value: mean.value, metrics: { temperature: 0.7, weight: 2, soft_max: mean.value } }),
        };
      },
    };
    const { loss, metrics } = await inParts(tempered, data, logprobs, datumByDatum(data));
    near(loss, 0.7, "loss");
    expect(metrics).toEqual({ temperature: 0.7, weight: 2, soft_max: loss });
  });
});

import { expect, test } from "vitest";
import {
  type AdapterRegularizerConfig,
  makeAdapterPenalty,
  makeRegularizer,
  regularizer,
  type TextRegularizerConfig,
} from "../../src/config/regularizers/index.ts";
import type { Datum } from "../../src/data/datum.ts";
import type { SamplingClient } from "../../src/model/contract.ts";
import { givenReference } from "../../src/reference/given.ts";
import {
  type AdapterPenalty,
  Consistency,
  compute,
  Entropy,
  elasticNet,
  JensenShannon,
  KLDivergence,
  l1,
  l2,
  orthogonality,
  type Regularizer,
  tokenDropout,
  tokenReplacement,
} from "../../src/regularizer/index.ts";
import { DATA, MODEL, REFERENCE, SIZE } from "../regularizer/rows.ts";

/** @file Every setting of a configuration reaches the regularizer that is made of it. */

const reference = givenReference(REFERENCE);
/** Gives each datum the reference's rows, turned around by what has been read before each. */
const model: SamplingClient = {
  sample: async () => [],
  computeLogprobs: async () => [],
  distributions: async (data: readonly Datum[]) =>
    data.map(({ modelInput, lossInputs: { positions, target_tokens } }, i) => {
      const rows = REFERENCE[i]!;
      const turns = Array.from(target_tokens.data, (_, row) =>
        modelInput.subarray(0, (positions?.data[row] ?? row) + 1).reduce((sum, token, at) => sum + token * (at + 1), 0),
      );
      return {
        ...rows,
        data: rows.data.map((_, k) => {
          const row = Math.floor(k / SIZE);
          return rows.data[SIZE * row + ((k + turns[row]!) % SIZE)]!;
        }),
      };
    }),
};

const replace = (rate = 0.1) => tokenReplacement({ rate });

const ON_TEXT: [object, () => Regularizer][] = [
  [{ direction: "model||reference" }, () => new KLDivergence({ reference, direction: "model||reference" })],
  [{ direction: "reference||model" }, () => new KLDivergence({ reference, direction: "reference||model" })],
  [{ symmetric: true }, () => new KLDivergence({ reference, symmetric: true })],
  [
    { direction: "model||reference", reduction: "sum", clip: 0.1 },
    () => new KLDivergence({ reference, direction: "model||reference", reduction: "sum", clip: 0.1 }),
  ],
  [{}, () => new KLDivergence({ reference })],
  [{ epsilon: 0.3 }, () => new KLDivergence({ reference, epsilon: 0.3 })],
  [{ type: "jensen_shannon" }, () => new JensenShannon({ reference })],
  [
    { type: "jensen_shannon", beta: 0.2, epsilon: 0.1 },
    () => new JensenShannon({ reference, beta: 0.2, epsilon: 0.1 }),
  ],
  [
    { type: "jensen_shannon", clip: 0.01, reduction: "sum" },
    () => new JensenShannon({ reference, clip: 0.01, reduction: "sum" }),
  ],
  [{ type: "entropy" }, () => new Entropy()],
  [{ type: "entropy", mode: "penalty", reduction: "sum" }, () => new Entropy({ mode: "penalty", reduction: "sum" })],
  [{ type: "entropy", temperature: 3 }, () => new Entropy({ temperature: 3 })],
  [{ type: "consistency", rate: 0.5 }, () => new Consistency({ model, view: replace(0.5), seed: 7 })],
  [{ type: "consistency", rate: 0.5, seed: 3 }, () => new Consistency({ model, view: replace(0.5), seed: 3 })],
  [
    { type: "consistency", view: "drop", rate: 0.5, seed: 4 },
    () => new Consistency({ model, view: tokenDropout({ rate: 0.5 }), seed: 4 }),
  ],
  [
    { type: "consistency", direction: "model||view" },
    () => new Consistency({ model, view: replace(), seed: 7, direction: "model||view" }),
  ],
  [
    { type: "consistency", symmetric: true },
    () => new Consistency({ model, view: replace(), seed: 7, symmetric: true }),
  ],
  [
    { type: "consistency", clip: 0.2, epsilon: 0.1, reduction: "sum" },
    () => new Consistency({ model, view: replace(), seed: 7, clip: 0.2, epsilon: 0.1, reduction: "sum" }),
  ],
];

test.each(ON_TEXT)("%j", async (written, direct) => {
  const made = makeRegularizer(regularizer.parse(written) as TextRegularizerConfig, {
    name: "mine",
    reference,
    model,
    seed: 7,
  });
  expect(made.name).toBe("mine");
  const step = { number: 3 };
  const [found, expected] = [await compute(made, DATA, MODEL, step), await compute(direct(), DATA, MODEL, step)];
  expect(found).toEqual(expected);
});

test("each of these settings makes a difference", async () => {
  const losses = await Promise.all(
    ON_TEXT.map(async ([, direct]) => (await compute(direct(), DATA, MODEL, { number: 3 })).loss),
  );
  // But for a symmetric KL, which is Jensen–Shannon by another name, and the default direction.
  expect(new Set(losses).size).toBe(ON_TEXT.length - 2);
});

const MATRICES = new Map([
  ["q_proj.lora_A.weight", { data: Float32Array.of(1, 2, 3, -1, 0.5, 2), shape: [2, 3] }],
  ["q_proj.lora_B.weight", { data: Float32Array.of(0.5, -2, 1, 3), shape: [2, 2] }],
]);

const ON_ADAPTER: [object, AdapterPenalty][] = [
  [{ type: "l1" }, l1()],
  [{ type: "l1", factors: "A" }, l1({ factors: "A" })],
  [{ type: "l2" }, l2()],
  [{ type: "l2", factors: "B" }, l2({ factors: "B" })],
  [{ type: "elastic_net" }, elasticNet()],
  [{ type: "elastic_net", l1_ratio: 0.9, factors: "B" }, elasticNet({ l1Ratio: 0.9, factors: "B" })],
  [{ type: "orthogonality" }, orthogonality()],
  [{ type: "orthogonality", factors: "A" }, orthogonality({ factors: "A" })],
  [{ type: "orthogonality", target: "identity" }, orthogonality({ target: "identity" })],
];

test.each(ON_ADAPTER)("%j", (written, direct) => {
  const settings = regularizer.parse(written) as AdapterRegularizerConfig;
  const made = makeAdapterPenalty(settings, { name: "mine" });
  expect(made.name).toBe("mine");
  expect(made.compute(MATRICES)).toEqual(direct.compute(MATRICES));
  const losses = ON_ADAPTER.map(([, each]) => each.compute(MATRICES).value);
  expect(new Set(losses).size).toBe(ON_ADAPTER.length);
});

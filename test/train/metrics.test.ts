import { describe, expect, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { crossEntropyLoss, type Regularizer } from "../../src/regularizer/index.ts";
import { type RegularizerResult, type StepResult, stepMetrics } from "../../src/train/metrics.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { ADAMW } from "./adamw.ts";
import { TableModel, type TableOptions } from "./table-model.ts";

/** @file What the numbers of a step are called, whatever regularizers and their metrics are called. */

const VOCABULARY = 7;
const DATA = [5, 3, 6].map((length, first) =>
  everyToken(Array.from({ length }, (_, i) => (first + 2 * i) % VOCABULARY)),
);

/** How engines split a batch. */
const SPLITS: readonly Omit<TableOptions, "vocabulary">[] = [{}, { atOnce: 2 }, { atOnce: 1 }, { rowsAtOnce: 1 }];

async function run(regularizer: Regularizer | undefined, split: Omit<TableOptions, "vocabulary"> = {}) {
  const options: TrainOptions = {
    client: new TableModel({ vocabulary: VOCABULARY, ...split }),
    data: DATA,
    steps: 4,
    batchSize: 3,
    shuffle: false,
    optimizer: ADAMW,
    reportEvery: 2,
    regularizers: regularizer ? [{ regularizer, weight: 0.5 }] : [],
    now: () => 0,
  };
  return (await train(options)).rows.map(stepMetrics);
}

/** Measures the same in every step, and pulls nowhere. */
function constant(name: string, metrics: Readonly<Record<string, number>>): Regularizer {
  return { name, begin: () => ({ add: () => undefined, end: () => ({ value: 0.25, metrics }) }) };
}

const TASK = ["step", "cross_entropy", "grad_norm", "learning_rate", "tokens_per_second"];

describe("a single regularizer leaves the columns of the task as they are", () => {
  test.each([
    ["cross_entropy", { mine: 0.7 }, ["mine"]],
    ["weight", { temperature: 0.7 }, ["temperature"]],
    ["step", { step: 0.7 }, ["step/step"]],
    ["loss", { loss: 0.7, cross_entropy: 0.7 }, ["loss/loss", "loss/cross_entropy"]],
    ["own", { weight: 0.7, value: 0.7, "own/weight": 0.7 }, ["own/weight", "own/value", "own/own/weight"]],
    ["grad_norm", { grad_norm: 0.7, task_cosine: 0.7 }, ["grad_norm/grad_norm", "grad_norm/task_cosine"]],
    [
      "full",
      { task_logit_grad_norm: 0.7, logit_grad_norm: 0.7 },
      ["full/task_logit_grad_norm", "full/logit_grad_norm"],
    ],
  ])("named %s with the metrics %o", async (name, metrics, columns) => {
    const plain = await run(undefined);
    for (const split of SPLITS) {
      const rows = await run(constant(name, metrics), split);
      for (const [i, row] of rows.entries()) {
        for (const column of TASK) expect(row[column], column).toBeCloseTo(plain[i]![column]!, 5);
        expect(row.step).toBe(i + 1);
        expect(row.loss).toBeCloseTo(plain[i]!.loss + 0.125, 5);
        expect(row).toMatchObject({ value: 0.25, weight: 0.5, contribution: 0.125 });
        // Not shared out over the parts of a batch either, and in one column in steps with a full report and without.
        expect(Object.keys(row).filter((column) => row[column] === 0.7)).toEqual(columns);
      }
      expect(rows.map(({ logit_grad_norm }) => logit_grad_norm)).toEqual([0, undefined, 0, 0]);
    }
  });

  test("the task's own loss a second time", async () => {
    for (const split of SPLITS) {
      for (const row of await run({ name: "cross_entropy", ...crossEntropyLoss() }, split)) {
        expect(row["cross_entropy/cross_entropy"]).toBeCloseTo(row.cross_entropy, 6);
        expect(row.value).toBeCloseTo(row.cross_entropy, 6);
        expect(row.loss).toBeCloseTo(1.5 * row.cross_entropy, 6);
      }
    }
  });
});

describe("several regularizers", () => {
  const step: StepResult = {
    step: 3,
    loss: 2,
    cross_entropy: 1,
    grad_norm: 4,
    learning_rate: 0.1,
    tokens_per_second: 100,
    regularizers: {},
  };
  const member = (metrics: Readonly<Record<string, number>>, weight = 0.5): RegularizerResult => ({
    value: 0.3,
    weight,
    contribution: 0.3 * weight,
    metrics,
  });

  test("keep theirs under their names; the plain KL is that of the first with one", () => {
    const regularizers = {
      cross_entropy: member({ cross_entropy: 5, step: 6 }),
      kl: member({ kl_divergence: 7, kl_max: 8, coverage: 9 }, 0.2),
      weight: member({ kl_divergence: 10, kl_min: 11 }, 0.4),
    };
    expect(stepMetrics({ ...step, regularizers })).toEqual({
      step: 3,
      loss: 2,
      cross_entropy: 1,
      grad_norm: 4,
      learning_rate: 0.1,
      tokens_per_second: 100,
      kl_divergence: 7,
      kl_max: 8,
      weight: 0.2,
      "cross_entropy/value": 0.3,
      "cross_entropy/weight": 0.5,
      "cross_entropy/contribution": 0.15,
      "cross_entropy/cross_entropy": 5,
      "cross_entropy/step": 6,
      "kl/value": 0.3,
      "kl/weight": 0.2,
      "kl/contribution": 0.3 * 0.2,
      "kl/kl_divergence": 7,
      "kl/kl_max": 8,
      "kl/coverage": 9,
      "weight/value": 0.3,
      "weight/weight": 0.4,
      "weight/contribution": 0.12,
      "weight/kl_divergence": 10,
      "weight/kl_min": 11,
    });
  });

  test("lose no number, whatever they are called", () => {
    const regularizers = {
      a: member({ "b/value": 20, weight: 21, contribution: 22, "a/weight": 23 }),
      "a/b": member({ value: 24, matrix_grad_norm: 25 }),
    };
    const flat = stepMetrics({ ...step, regularizers });
    for (const value of [20, 21, 22, 23, 24, 25]) expect(Object.values(flat)).toContain(value);
    for (const name of ["a", "a/b"]) {
      expect([flat[`${name}/value`], flat[`${name}/weight`], flat[`${name}/contribution`]]).toEqual([0.3, 0.5, 0.15]);
    }
  });
});

import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type Datum, everyToken } from "../../src/data/datum.ts";
import { baseReference } from "../../src/reference/base.ts";
import { Entropy, KLDivergence, type Regularizer } from "../../src/regularizer/index.ts";
import { stepMetrics } from "../../src/train/metrics.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { TableModel } from "./table-model.ts";

/** @file How long training goes on, on what, when it reports in full; and what is refused before the first step. */

const VOCABULARY = 7;
const DATA: readonly Datum[] = [0, 1, 2].map((first) =>
  everyToken([first, (first + 2) % VOCABULARY, (first + 4) % VOCABULARY], `train.jsonl:${first + 1}`),
);

/** Remembers the batch of each step. */
function recorder() {
  const batches: string[][] = [];
  const regularizer: Regularizer = {
    name: "recorder",
    begin: (batch) => {
      batches.push(batch.map(({ datum }) => datum.source!));
      return { add: () => undefined, end: () => ({ value: 0, metrics: {} }) };
    },
  };
  return { batches, regularizer };
}

async function run(changes: Partial<TrainOptions>) {
  const client = new TableModel({ vocabulary: VOCABULARY });
  const { batches, regularizer } = recorder();
  const full: number[] = [];
  const onStep: TrainOptions["onStep"] = ({ step }, details) => {
    if (details.full) full.push(step);
  };
  const { rows } = await train({ client, data: DATA, regularizers: [regularizer], onStep, ...changes });
  return { rows, batches, full };
}

describe("invalid options are refused before the first step", () => {
  test.each<[string, Partial<TrainOptions>, string]>([
    ["batchSize 0", { batchSize: 0 }, "batchSize of train() is 0, expected a whole number of at least 1"],
    ["batchSize 1.5", { batchSize: 1.5 }, "batchSize of train() is 1.5, expected a whole number of at least 1"],
    ["steps 0", { steps: 0 }, "steps of train() is 0, expected a whole number of at least 1"],
    ["steps NaN", { steps: Number.NaN }, "steps of train() is NaN, expected a whole number of at least 1"],
    ["seed -1", { seed: -1 }, "seed of train() is -1, expected a whole number of at least 0"],
    ["reportEvery -1", { reportEvery: -1 }, "reportEvery of train() is -1, expected a whole number of at least 0"],
    ["epochs with steps", { epochs: 1, steps: 3 }, "train() was given steps and epochs: give one of them"],
    ["negative epochs", { epochs: -1 }, "epochs of train() is -1, expected a finite number above 0"],
    ["epochs 0", { epochs: 0 }, "epochs of train() is 0, expected a finite number above 0"],
    [
      "epochs without end",
      { epochs: Number.POSITIVE_INFINITY },
      "epochs of train() is Infinity, expected a finite number above 0",
    ],
    ["batchSize -1", { batchSize: -1 }, "batchSize of train() is -1, expected a whole number of at least 1"],
    ["no data", { data: [] }, "train() was given no data: give at least one datum"],
    [
      "endless steps",
      { steps: 2 ** 52 },
      "steps of train() is 4503599627370496, at most 1,000,000,000 are made: give fewer",
    ],
    ["endless epochs", { epochs: 1e308 }, "1e+308 epochs are 1e+308 steps, at most 1,000,000,000 are made: give fewer"],
    ["eps 0", { optimizer: { eps: 0 } }, "optimizer.eps of train() is 0, expected a number from 1e-20 to 1"],
    [
      "a learning rate of NaN",
      { optimizer: { learningRate: Number.NaN } },
      "optimizer.learningRate of train() is NaN, expected a finite number of at least 0",
    ],
    [
      "a beta of 1",
      { optimizer: { betas: [0.9, 1] } },
      "optimizer.betas[1] of train() is 1, expected a number from 0 to below 1",
    ],
    [
      "a negative clip",
      { optimizer: { gradClip: -1 } },
      "optimizer.gradClip of train() is -1, expected a finite number of at least 0",
    ],
    [
      "half a step of warm-up",
      { optimizer: { warmupSteps: 0.5 } },
      "optimizer.warmupSteps of train() is 0.5, expected a whole number of at least 0",
    ],
  ])("%s", async (_, options, message) => {
    const { batches, regularizer } = recorder();
    const failing = run({ ...options, regularizers: [regularizer] });
    await expect(failing).rejects.toThrow(UserError);
    await expect(failing).rejects.toThrow(message);
    expect(batches).toEqual([]);
  });
});

describe("how long", () => {
  const sources = DATA.map(({ source }) => source!);

  test("one epoch of 3 lines, 2 a batch: 2 steps, each line once", async () => {
    const { rows, batches } = await run({ epochs: 1, batchSize: 2 });
    expect(rows.map(({ step }) => step)).toEqual([1, 2]);
    expect(batches.map((batch) => batch.length)).toEqual([2, 1]);
    expect(batches.flat().sort()).toEqual(sources);
  });

  test("several epochs: each line once in each, no step with lines of two; a fraction ends within one", async () => {
    const { batches } = await run({ epochs: 3, batchSize: 2 });
    expect(batches.map((batch) => batch.length)).toEqual([2, 1, 2, 1, 2, 1]);
    for (const first of [0, 2, 4])
      expect(
        batches
          .slice(first, first + 2)
          .flat()
          .sort(),
      ).toEqual(sources);
    expect((await run({ epochs: 1.5, batchSize: 2 })).batches).toEqual(batches.slice(0, 3));
    expect((await run({ epochs: 0.01, batchSize: 2 })).batches).toEqual(batches.slice(0, 1));
  });

  test("steps: every batch is full, lines of two epochs together", async () => {
    const { batches } = await run({ steps: 3, batchSize: 2, shuffle: false });
    const [a, b, c] = sources;
    expect(batches).toEqual([
      [a, b],
      [c, a],
      [b, c],
    ]);
  });

  test("by default 300 steps, of all data where they are fewer than 16", async () => {
    const { batches } = await run({});
    expect(batches).toHaveLength(300);
    expect(batches.every(({ length }) => length === DATA.length)).toBe(true);
  });
});

describe("full reports", () => {
  test.each<[Partial<TrainOptions>, number[]]>([
    [{ steps: 25, reportEvery: 10 }, [1, 11, 21, 25]],
    [{ steps: 25 }, [1, 11, 21, 25]],
    [{ steps: 21, reportEvery: 10 }, [1, 11, 21]],
    [{ epochs: 8, batchSize: 1, reportEvery: 9 }, [1, 10, 19, 24]],
    [{ steps: 5, reportEvery: 0 }, []],
  ])("%o: in the steps %o, the last among them", async (options, expected) => {
    const { rows, full } = await run(options);
    expect(full).toEqual(expected);
    const measured = rows.filter(({ regularizers }) => regularizers.recorder!.logit_grad_norm !== undefined);
    expect(measured.map(({ step }) => step)).toEqual(expected);
  });

  test("the last of 400 steps says what training came to", async () => {
    const client = new TableModel({ vocabulary: VOCABULARY });
    const kl = new KLDivergence({ reference: baseReference(client.sampler("base")) });
    const last = stepMetrics((await train({ client, data: DATA, steps: 400, regularizers: [kl] })).rows.at(-1)!);
    expect(last.step).toBe(400);
    for (const name of ["kl_top1_agreement", "logit_grad_norm", "task_logit_grad_norm", "task_cosine"]) {
      expect(last[name], name).toEqual(expect.any(Number));
    }
    expect(last.kl_top1_agreement).toBeLessThan(1);
  });
});

test("regularizers may be given bare, with their own weight, or 1", async () => {
  const ends = await Promise.all(
    [false, true].map(async (bare) => {
      const client = new TableModel({ vocabulary: VOCABULARY });
      const kl = new KLDivergence({ reference: baseReference(client.sampler("base")) });
      const { regularizer: own } = recorder();
      const weighted = [
        { regularizer: kl, weight: 1 },
        { regularizer: new Entropy(), weight: 0.1 },
        { regularizer: own, weight: 1 },
        { regularizer: { ...own, name: "weighted" }, weight: 0.25 },
      ];
      const alone = [kl, new Entropy(), { regularizer: own }, { ...own, name: "weighted", weight: 0.25 }];
      const regularizers = bare ? alone : weighted;
      const { rows } = await train({ client, data: DATA, steps: 5, regularizers, now: () => 0 });
      return { rows, delta: client.delta };
    }),
  );
  const { rows } = ends[1]!;
  expect(Object.values(rows[4]!.regularizers).map(({ weight }) => weight)).toEqual([1, 0.1, 1, 0.25]);
  expect(rows[4]!.regularizers.kl_divergence!.contribution).toBeGreaterThan(0);
  expect(ends[1]).toEqual(ends[0]);
});

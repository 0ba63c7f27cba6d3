import { describe, expect, test } from "vitest";
import { type Datum, everyToken } from "../../src/data/datum.ts";
import { baseReference } from "../../src/reference/base.ts";
import { type AdapterPenalty, type Coefficient, KLDivergence, l1, l2 } from "../../src/regularizer/index.ts";
import { TrainingDivergedError } from "../../src/train/diverged.ts";
import { stepMetrics } from "../../src/train/metrics.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { ADAMW } from "./adamw.ts";
import { TableModel } from "./table-model.ts";

/** @file Training with penalties on the adapter's matrices: in the loss, in the gradient, in the metrics. */

const VOCABULARY = 6;
const DATA: readonly Datum[] = [0, 1, 2].map((start) =>
  everyToken(
    Array.from({ length: 5 }, (_, i) => (start + 2 * i) % VOCABULARY),
    `train.jsonl:${start + 1}`,
  ),
);

/** A training, its steps as lines of flat numbers. */
async function run(engine: TableModel, changes: Partial<TrainOptions> = {}) {
  const { rows } = await train({
    client: engine,
    data: DATA,
    steps: 60,
    batchSize: 3,
    shuffle: false,
    optimizer: ADAMW,
    reportEvery: 0,
    ...changes,
  });
  return { rows: rows.map(stepMetrics) };
}

describe("a penalty on the adapter", () => {
  test("is part of the loss, and keeps the matrices small", async () => {
    const [free, held] = [new TableModel({ vocabulary: VOCABULARY }), new TableModel({ vocabulary: VOCABULARY })];
    await run(free);
    const { rows } = await run(held, { adapterPenalties: [{ penalty: l2(), weight: 0.05 }] });
    const size = (engine: TableModel) => Math.hypot(...engine.delta);
    expect(size(held)).toBeLessThan(0.6 * size(free));
    for (const row of rows) {
      expect(row.contribution).toBeCloseTo(0.05 * row.l2!, 12);
      expect(row.loss).toBeCloseTo(row.cross_entropy + row.contribution!, 6);
    }
    // What is measured is the matrices before the update of that step.
    expect(rows[0]!.l2).toBe(0);
    expect(rows.at(-1)!.l2).toBeGreaterThan(0.1);
    expect(rows.at(-1)!.matrix_grad_norm).toBeCloseTo(Math.sqrt(2 * rows.at(-1)!.l2!), 5);
  });

  test("is computed once per step, however the batch is split, beside regularizers on text", async () => {
    const steps: (number | undefined)[] = [];
    const counting: AdapterPenalty = {
      name: "counting",
      compute: (matrices, step) => {
        steps.push(step?.number);
        return l1().compute(matrices);
      },
    };
    const engine = new TableModel({ vocabulary: VOCABULARY, atOnce: 1 });
    const kl = new KLDivergence({ reference: baseReference(engine.sampler("base")) });
    const { rows } = await run(engine, {
      steps: 3,
      regularizers: [{ regularizer: kl, weight: 0.2 }],
      adapterPenalties: [{ penalty: counting, weight: 0.01 }],
    });
    expect(steps).toEqual([1, 2, 3]);
    for (const row of rows) {
      const contributions = row["kl_divergence/contribution"]! + row["counting/contribution"]!;
      expect(row.loss).toBeCloseTo(row.cross_entropy + contributions, 6);
      expect(row.kl_divergence).toBe(row["kl_divergence/kl_divergence"]);
      expect(row["counting/l1"]).toBeDefined();
    }
  });

  test("its weight may be controlled", async () => {
    const heard: number[] = [];
    const weight: Coefficient<number> = {
      init: () => 0,
      at: (_, step) => step / 100,
      update: (updates, { value }) => {
        heard.push(updates);
        expect(value).toBeGreaterThanOrEqual(0);
        return updates + 1;
      },
    };
    const { rows } = await run(new TableModel({ vocabulary: VOCABULARY }), {
      steps: 2,
      adapterPenalties: [{ penalty: l2(), weight }],
    });
    expect(heard).toEqual([0, 1]);
    expect(rows.map(({ weight }) => weight)).toEqual([0.01, 0.02]);
  });

  test("shares its name with no other regularizer", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const kl = new KLDivergence({ name: "l2", reference: baseReference(engine.sampler("base")) });
    const both = { regularizers: [{ regularizer: kl, weight: 1 }], adapterPenalties: [{ penalty: l2(), weight: 1 }] };
    await expect(run(engine, both)).rejects.toThrow('two regularizers are named "l2"');
  });

  test("that is no longer finite ends training before the update", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const broken: AdapterPenalty = {
      name: "broken",
      compute: () => ({ value: Number.NaN, gradient: new Map(), metrics: {} }),
    };
    const failing = run(engine, { adapterPenalties: [{ penalty: broken, weight: 1 }] });
    await expect(failing).rejects.toThrow(TrainingDivergedError);
    await expect(failing).rejects.toThrow(/step 1.*the loss became NaN/);
    expect(engine.delta.every((x) => x === 0)).toBe(true);
  });
});

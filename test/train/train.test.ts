import { describe, expect, test } from "vitest";
import { type Datum, everyToken } from "../../src/data/datum.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import { weightOf } from "../../src/loss/items.ts";
import { baseReference } from "../../src/reference/base.ts";
import {
  adaptiveWeight,
  budgetWeight,
  compute,
  crossEntropyLoss,
  linearWeight,
  type Regularizer,
} from "../../src/regularizer/index.ts";
import { KLDivergence } from "../../src/regularizer/kl-divergence.ts";
import { TrainingDivergedError } from "../../src/train/diverged.ts";
import { type StepMetrics, type StepResult, stepMetrics } from "../../src/train/metrics.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { ADAMW } from "./adamw.ts";
import { TableModel } from "./table-model.ts";

const VOCABULARY = 7;

/** Sequences in which token t is followed by t + 2, with the first target masked: ten rows of weight 1 in three datums, one of 0.5. */
const DATA: readonly Datum[] = [4, 3, 6].map((length, d) => {
  const tokens = Array.from({ length: length + 1 }, (_, i) => (d + 2 * i) % VOCABULARY);
  const datum = everyToken(tokens, `train.jsonl:${d + 1}`);
  datum.lossInputs.weights.data[0] = d === 1 ? 0.5 : 0;
  return datum;
});

/** A training, its steps as lines of flat numbers. */
async function run(engine: TableModel, changes: Partial<TrainOptions> = {}) {
  const { rows, interrupted } = await train({
    client: engine,
    data: DATA,
    steps: 20,
    batchSize: 3,
    shuffle: false,
    optimizer: ADAMW,
    reportEvery: 0,
    ...changes,
  });
  return { rows: rows.map(stepMetrics), interrupted };
}

function kl(engine: TableModel, name = "kl_divergence", direction?: "forward" | "reverse") {
  return new KLDivergence({ name, direction, reference: baseReference(engine.sampler("base")) });
}

const lastOf = (rows: readonly StepMetrics[]) => rows.at(-1)!;

describe("the loss", () => {
  test("is Σ w·CE / Σ w + Σ weight · KL, over the same tokens", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    engine.delta.forEach((_, i, delta) => {
      delta[i] = Math.cos(i);
    });
    // The formula, from the definition, in float64.
    const [p, q] = await Promise.all(
      (["current", "base"] as const).map((weights) => engine.sampler(weights).distributions(DATA)),
    );
    let [ce, divergence, total, max, min] = [0, 0, 0, 0, Number.POSITIVE_INFINITY];
    DATA.forEach(({ lossInputs: { target_tokens, weights } }, d) => {
      weights.data.forEach((weight, row) => {
        const at = (logprobs: NonNullable<typeof p>, v: number) => logprobs[d]!.data[row * VOCABULARY + v]!;
        let sum = 0;
        for (let v = 0; v < VOCABULARY; v++) sum += Math.exp(at(q!, v)) * (at(q!, v) - at(p!, v));
        ce -= weight * at(p!, target_tokens.data[row]!);
        divergence += weight * sum;
        total += weight;
        if (weight > 0) [max, min] = [Math.max(max, sum), Math.min(min, sum)];
      });
    });
    const { rows } = await run(engine, { steps: 1, regularizers: [{ regularizer: kl(engine), weight: 0.3 }] });
    expect(rows[0]!.cross_entropy).toBeCloseTo(ce / total, 5);
    expect(rows[0]!.kl_divergence).toBeCloseTo(divergence / total, 5);
    expect(rows[0]!.kl_max).toBeCloseTo(max, 5);
    expect(rows[0]!.kl_min).toBeCloseTo(min, 5);
    expect(rows[0]!.loss).toBeCloseTo(ce / total + (0.3 * divergence) / total, 5);
  });

  test("is the same, so is training, and so is all that is reported, however the engine splits the batch", async () => {
    const runs = await Promise.all(
      [Number.POSITIVE_INFINITY, 2, 1].map(async (atOnce) => {
        const engine = new TableModel({ vocabulary: VOCABULARY, atOnce });
        const { rows } = await run(engine, {
          regularizers: [{ regularizer: kl(engine), weight: budgetWeight({ budget: 0.05 }) }],
          reportEvery: 3,
        });
        return { rows, delta: engine.delta };
      }),
    );
    for (const { rows, delta } of runs.slice(1)) {
      rows.forEach(({ tokens_per_second: _, ...row }, i) => {
        for (const [name, value] of Object.entries(row)) expect(value, name).toBeCloseTo(runs[0]!.rows[i]![name]!, 6);
      });
      delta.forEach((value, i) => {
        expect(value).toBeCloseTo(runs[0]!.delta[i]!, 4);
      });
    }
  });
});

describe("the regularizer trains: it is neither a constant zero nor left out of the loop", () => {
  test("its gradient alone reaches the parameters: away from the base, a weight changes the update", async () => {
    const start = (engine: TableModel) => {
      engine.delta.forEach((_, i, delta) => {
        delta[i] = Math.sin(i);
      });
      return engine;
    };
    const [without, measured, held] = await Promise.all(
      [undefined, 0, 0.5].map(async (weight) => {
        const engine = start(new TableModel({ vocabulary: VOCABULARY }));
        const { rows } = await run(engine, {
          steps: 1,
          regularizers: weight === undefined ? [] : [{ regularizer: kl(engine), weight }],
        });
        return { delta: engine.delta, row: rows[0]! };
      }),
    );
    expect(measured!.row.kl_divergence).toBeGreaterThan(0.1);
    expect(measured!.delta).toEqual(without!.delta);
    expect(held!.row.grad_norm).not.toBeCloseTo(without!.row.grad_norm, 3);
    expect(held!.delta).not.toEqual(without!.delta);
  });

  test.each(["forward", "reverse"] as const)("%s: more weight, less drift, less of the task", async (direction) => {
    const ends = [];
    for (const weight of [0, 0.1, 1, 10]) {
      const engine = new TableModel({ vocabulary: VOCABULARY });
      const { rows } = await run(engine, {
        steps: 150,
        regularizers: [{ regularizer: kl(engine, "kl", direction), weight }],
      });
      expect(rows[0]!.kl_divergence).toBe(0);
      ends.push(lastOf(rows));
    }
    for (let i = 1; i < ends.length; i++) {
      expect(ends[i]!.kl_divergence).toBeLessThan(ends[i - 1]!.kl_divergence!);
      expect(ends[i]!.cross_entropy).toBeGreaterThan(ends[i - 1]!.cross_entropy);
    }
  });

  test("the base reads each text once, however many regularizers, steps and parts ask", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY, atOnce: 2 });
    const reference = baseReference(engine.sampler("base"));
    const regularizers = ["a", "b", "c"].map((name) => ({
      regularizer: new KLDivergence({ name, reference }),
      weight: 0.1,
    }));
    await run(engine, { steps: 5, regularizers });
    expect(engine.baseLooks).toBe(DATA.length);
  });
});

describe("weights that move", () => {
  test("a budget is kept, and what it cost is in the metrics", async () => {
    const ends = await Promise.all(
      [0.05, 0.2].map(async (budget) => {
        const engine = new TableModel({ vocabulary: VOCABULARY });
        const { rows } = await run(engine, {
          steps: 400,
          regularizers: [{ regularizer: kl(engine), weight: budgetWeight({ budget }) }],
        });
        const end = rows.slice(-50);
        const mean = (name: string) => end.reduce((sum, row) => sum + row[name]!, 0) / end.length;
        expect(rows[0]!.weight).toBe(0.1);
        expect(mean("kl_divergence")).toBeGreaterThan(0.9 * budget);
        expect(mean("kl_divergence")).toBeLessThan(1.1 * budget);
        return { price: mean("weight"), cross_entropy: mean("cross_entropy") };
      }),
    );
    // The smaller budget has the higher price, and less of the task is learned.
    expect(ends[0]!.price).toBeGreaterThan(ends[1]!.price);
    expect(ends[0]!.cross_entropy).toBeGreaterThan(ends[1]!.cross_entropy);
  });

  test("a target is reached, a controller hearing of each step once, of the whole batch", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY, atOnce: 1 });
    const { rows } = await run(engine, {
      steps: 400,
      regularizers: [{ regularizer: kl(engine), weight: adaptiveWeight({ target: 0.1 }) }],
    });
    for (const [i, row] of rows.slice(1).entries()) {
      const before = rows[i]!;
      const error = Math.min(0.2, Math.max(-0.2, before.kl_divergence! / 0.1 - 1));
      expect(row.weight).toBeCloseTo(before.weight! * (1 + error / 10), 9);
    }
    expect(lastOf(rows).kl_divergence).toBeCloseTo(0.1, 2);
  });
});

describe("anchors", () => {
  const anchorData = [0, 1, 2, 3].map((first) =>
    everyToken([first, (first + 3) % VOCABULARY, (first + 5) % VOCABULARY], "anchor.jsonl"),
  );

  test("hold the model where the task does not look", async () => {
    const drifts = [];
    for (const weight of [0, 1]) {
      const engine = new TableModel({ vocabulary: VOCABULARY });
      const anchors = [{ data: anchorData, batchSize: 3, seed: 5 }];
      const { rows } = await run(engine, { steps: 100, regularizers: [{ regularizer: kl(engine), weight, anchors }] });
      drifts.push(lastOf(rows).kl_divergence!);
    }
    expect(drifts[1]).toBeLessThan(drifts[0]! / 2);
  });

  test("have their own rows and their own batches; loss and gradient add to the batch's", async () => {
    const seen: number[] = [];
    const constant: Regularizer = {
      name: "anchor",
      begin: (batch) => {
        expect(weightOf(batch)).toBe(6);
        return {
          add: ({ spans }) => void seen.push(spans.length),
          end: () => ({ value: 2, metrics: {} }),
        };
      },
    };
    const plain = await run(new TableModel({ vocabulary: VOCABULARY }), { steps: 3 });
    const anchors = [{ data: anchorData, batchSize: 3, seed: 5 }];
    const held = await run(new TableModel({ vocabulary: VOCABULARY }), {
      steps: 3,
      regularizers: [{ regularizer: constant, weight: 0.5, anchors }],
    });
    expect(seen).toEqual([3, 3, 3]);
    held.rows.forEach((row, i) => {
      expect(row.loss).toBeCloseTo(plain.rows[i]!.loss + 1, 6);
      expect(row.cross_entropy).toBeCloseTo(plain.rows[i]!.cross_entropy, 9);
    });
  });
});

describe("metrics", () => {
  const common = ["step", "loss", "cross_entropy", "grad_norm", "learning_rate", "tokens_per_second"];
  const ofKL = ["kl_divergence", "kl_max", "kl_min", "kl_median", "kl_p95", "kl_p99"];
  const ofOne = [...ofKL, "value", "weight", "contribution"];
  const full = ["task_logit_grad_norm", "logit_grad_norm", "task_cosine", "kl_top1_agreement"];

  test("of a run with one KL are exactly the promised ones, in full every so many steps", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const { rows } = await run(engine, {
      regularizers: [{ regularizer: kl(engine), weight: 0.1 }],
      reportEvery: 7,
    });
    expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    const names = new Set([...common, ...ofOne]);
    for (const row of rows.filter(({ step }) => ![1, 8, 15, 20].includes(step)))
      expect(new Set(Object.keys(row))).toEqual(names);
    // At the reference the KL has no gradient, and so no direction.
    const atStart = full.filter((name) => name !== "task_cosine");
    expect(new Set(Object.keys(rows[0]!))).toEqual(new Set([...names, ...atStart]));
    for (const row of [rows[7]!, rows[14]!, rows[19]!])
      expect(new Set(Object.keys(row))).toEqual(new Set([...names, ...full]));
    expect(rows[0]!.logit_grad_norm).toBe(0);
    expect(rows[0]!.kl_top1_agreement).toBeCloseTo(1, 12);
  });

  test("the loss is the cross-entropy and the contributions, value times weight", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const regularizers = [
      { regularizer: kl(engine, "one"), weight: 0.3 },
      { regularizer: kl(engine, "other", "forward"), weight: linearWeight({ from: 0, to: 1, steps: 20 }) },
    ];
    const { rows } = await run(engine, { regularizers });
    for (const [i, row] of rows.entries()) {
      expect(row["other/weight"]).toBeCloseTo(i / 19, 12);
      expect(row["other/contribution"]).toBeCloseTo(row["other/weight"]! * row["other/value"]!, 12);
      expect(row["one/contribution"]).toBeCloseTo(0.3 * row["one/kl_divergence"]!, 12);
      expect(row.loss).toBeCloseTo(row.cross_entropy + row["one/contribution"]! + row["other/contribution"]!, 9);
      expect(row.weight).toBe(0.3);
    }
  });

  test("gradients are those of the whole batch in logit space, and conflict shows as a negative cosine", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const { rows } = await run(engine, { steps: 1, regularizers: [], reportEvery: 1 });
    expect(rows[0]).not.toHaveProperty("task_logit_grad_norm");
    engine.delta.forEach((_, i, delta) => {
      delta[i] = Math.cos(i);
    });
    const regularizer = kl(engine);
    const { rows: held } = await run(engine, {
      steps: 1,
      regularizers: [{ regularizer, weight: 0.3 }],
      reportEvery: 1,
    });
    const [p, data] = [await engine.sampler("current").distributions(DATA), DATA];
    // The engine has made a step since, so the definition is looked at from a model without one.
    const still = new TableModel({ vocabulary: VOCABULARY });
    still.delta.forEach((_, i, delta) => {
      delta[i] = Math.cos(i);
    });
    const logprobs = await still.sampler("current").distributions(data);
    expect(logprobs).not.toEqual(p);
    const flat = (tensors: readonly Tensor[]) => tensors.flatMap((each) => [...each.data]);
    const task = flat((await compute(crossEntropyLoss(), data, logprobs)).gradient);
    const own = flat((await compute(kl(still), data, logprobs)).gradient);
    const product = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    const [taskNorm, ownNorm] = [Math.sqrt(product(task, task)), Math.sqrt(product(own, own))];
    expect(held[0]!.task_logit_grad_norm).toBeCloseTo(taskNorm, 5);
    expect(held[0]!.logit_grad_norm).toBeCloseTo(ownNorm, 5);
    expect(held[0]!.task_cosine).toBeCloseTo(product(task, own) / (taskNorm * ownNorm), 5);
    // A model that has learned its task is pulled back by its base.
    const learned = new TableModel({ vocabulary: VOCABULARY });
    const { rows: late } = await run(learned, {
      steps: 41,
      regularizers: [{ regularizer: kl(learned), weight: 0.3 }],
      reportEvery: 40,
    });
    expect(late[40]!.task_cosine).toBeLessThan(-0.5);
  });

  test("measuring in full changes no step", async () => {
    const ends = await Promise.all(
      [0, 1].map(async (reportEvery) => {
        const engine = new TableModel({ vocabulary: VOCABULARY });
        const anchors = [{ data: [everyToken([2, 4, 1], "a")], batchSize: 1, seed: 1 }];
        const regularizers = [
          { regularizer: kl(engine, "completions"), weight: 0.3 },
          { regularizer: kl(engine, "anchor", "forward"), weight: 0.5, anchors },
        ];
        return { ...(await run(engine, { regularizers, reportEvery })), delta: engine.delta };
      }),
    );
    ends[1]!.delta.forEach((value, i) => {
      expect(value).toBeCloseTo(ends[0]!.delta[i]!, 5);
    });
    expect(ends[1]!.rows.at(-1)).toHaveProperty("anchor/logit_grad_norm");
    expect(ends[1]!.rows.at(-1)).not.toHaveProperty("anchor/task_cosine");
  });

  test("without a regularizer there is no KL", async () => {
    const { rows } = await run(new TableModel({ vocabulary: VOCABULARY }));
    expect(new Set(Object.keys(rows[0]!))).toEqual(new Set(common));
  });

  test("of several regularizers carry their names, and the plain ones are the first's", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const anchors = [{ data: [everyToken([2, 4], "a")], batchSize: 1, seed: 1 }];
    const regularizers = [
      { regularizer: kl(engine, "completions"), weight: 0.1 },
      { regularizer: kl(engine, "anchor"), weight: 0.1, anchors },
    ];
    const { rows } = await run(engine, { regularizers });
    const row = lastOf(rows);
    expect(row["completions/kl_divergence"]).toBeGreaterThan(0);
    expect(row["anchor/kl_divergence"]).toBeGreaterThan(0);
    expect(row.kl_divergence).toBe(row["completions/kl_divergence"]);
  });

  test("tokens per second count what the model read, in the time of the step", async () => {
    let time = 0;
    const now = () => (time += 250);
    const { rows } = await run(new TableModel({ vocabulary: VOCABULARY }), { now });
    expect(rows[3]!.tokens_per_second).toBe(13 * 4);
  });
});

describe("the same seed gives the same run", () => {
  test("and another seed another order", async () => {
    const losses = await Promise.all(
      [3, 3, 4].map(async (seed) => {
        const { rows } = await run(new TableModel({ vocabulary: VOCABULARY }), { seed, shuffle: true, batchSize: 1 });
        return rows.map(({ loss }) => loss);
      }),
    );
    expect(losses[1]).toEqual(losses[0]);
    expect(losses[2]).not.toEqual(losses[0]);
  });
});

test("a mixture is what the steps are drawn from", async () => {
  const engine = () => new TableModel({ vocabulary: VOCABULARY });
  const options = { optimizer: { ...ADAMW, learningRate: 0 }, batchSize: 1, steps: 8 };
  const losses = async (changes: Partial<TrainOptions>) =>
    (await run(engine(), { ...options, ...changes })).rows.map(({ loss }) => loss);
  const [first, second, third] = await losses({ steps: 3 });
  const mixture = [
    { count: 1, share: 0.75 },
    { count: 2, share: 0.25 },
  ];
  const drawn = await losses({ mixture });
  expect(drawn.filter((loss) => loss === first)).toHaveLength(6);
  expect(drawn.filter((loss) => loss !== first)).toEqual([second, third]);
});

describe("stopping", () => {
  test("a loss that is no longer finite stops before the update and names step and datum", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY, atOnce: 1 });
    let before: Float64Array | undefined;
    const onStep = ({ step }: StepResult) => {
      if (step !== 4) return;
      // From here on the model cannot say what follows token 1, which only the second datum holds first.
      engine.base[1 * VOCABULARY] = Number.NaN;
      before = engine.delta.slice();
    };
    const data = [DATA[0]!, everyToken([1, 3, 5], "train.jsonl:2")];
    const failure = await run(engine, {
      data: data.slice().reverse(),
      batchSize: 2,
      onStep,
      regularizers: [{ regularizer: kl(engine), weight: 1 }],
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TrainingDivergedError);
    expect(failure).toMatchObject({ step: 5, source: "train.jsonl:2" });
    expect((failure as Error).message).toMatch(/^step 5: the loss became NaN, .* train\.jsonl:2 \(cross-entropy NaN\)/);
    expect(engine.delta).toEqual(before);
  });

  test("an infinite loss too", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    engine.base[2 * VOCABULARY + 4] = Number.NEGATIVE_INFINITY;
    await expect(run(engine)).rejects.toThrow(/step 1: the loss became Infinity/);
  });

  test("a gradient norm that is not finite is not trained on", async () => {
    const engine = new TableModel({ vocabulary: VOCABULARY });
    const broken: Regularizer = {
      name: "broken",
      begin: () => ({
        add: (_, { gradient }) => {
          for (const { data } of gradient) data.fill(Number.NaN);
        },
        end: () => ({ value: 0, metrics: {} }),
      }),
    };
    await expect(run(engine, { regularizers: [{ regularizer: broken, weight: 1 }] })).rejects.toThrow(
      /step 1: the gradient's norm became NaN/,
    );
  });

  test("an abort finishes the step under way", async () => {
    const controller = new AbortController();
    const onStep = ({ step }: StepResult) => {
      if (step === 7) controller.abort();
    };
    const result = await run(new TableModel({ vocabulary: VOCABULARY }), { onStep, signal: controller.signal });
    expect(result.interrupted).toBe(true);
    expect(result.rows).toHaveLength(7);
  });
});

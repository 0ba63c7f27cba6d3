import { describe, expect, test } from "vitest";
import { type Datum, everyToken, totalWeight } from "../../src/data/datum.ts";
import { baseReference } from "../../src/reference/base.ts";
import { computedReference } from "../../src/reference/computed.ts";
import { KLDivergence } from "../../src/regularizer/kl-divergence.ts";
import { type Anchor, anchorTexts } from "../../src/train/anchor.ts";
import { stepMetrics } from "../../src/train/metrics.ts";
import type { Term } from "../../src/train/objective.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { ADAMW } from "./adamw.ts";
import { TableModel } from "./table-model.ts";

const VOCABULARY = 7;
const text = (first: number, length: number, source: string) =>
  everyToken(
    Array.from({ length: length + 1 }, (_, i) => (first + 3 * i) % VOCABULARY),
    source,
  );
const DATA = [4, 3, 6].map((length, d) => text(d, length, `train.jsonl:${d + 1}`));
const TEXTS = [2, 5, 3, 4].map((length, d) => text(d + 2, length, `texts.jsonl:${d + 1}`));
const OTHER = [3, 2].map((length, d) => text(d + 4, length, `other.jsonl:${d + 1}`));

/** A training, its steps as lines of flat numbers. */
async function run(engine: TableModel, regularizers: readonly Term[], changes: Partial<TrainOptions> = {}) {
  const settings = { steps: 4, batchSize: 3, shuffle: false, optimizer: { ...ADAMW, learningRate: 0.05 } };
  const { rows, interrupted } = await train({ client: engine, data: DATA, regularizers, ...settings, ...changes });
  return { rows: rows.map(stepMetrics), interrupted };
}

function moved(atOnce = Number.POSITIVE_INFINITY) {
  const engine = new TableModel({ vocabulary: VOCABULARY, atOnce });
  for (let i = 0; i < engine.delta.length; i++) engine.delta[i] = Math.cos(i);
  return engine;
}

function kl(engine: TableModel, name = "kl") {
  return new KLDivergence({ name, reference: baseReference(engine.sampler("base")) });
}

const anchor = (data: readonly Datum[], batchSize = data.length): Anchor => ({ data, batchSize, seed: 3 });

/** Σ w·KL(reference‖model) / Σ w over all rows of some data, from the definition. */
async function meanOver(engine: TableModel, data: readonly Datum[]): Promise<number> {
  const [p, q] = [
    await engine.sampler("current").distributions(data),
    await engine.sampler("base").distributions(data),
  ];
  let sum = 0;
  for (const [d, { data: numbers }] of q.entries())
    for (const [i, logQ] of numbers.entries()) sum += Math.exp(logQ) * (logQ - p[d]!.data[i]!);
  return sum / totalWeight(data);
}

describe("mixtures", () => {
  test("the mean is over the rows of all texts together, and so are the extremes; the loss adds it once", async () => {
    const texts: [string, Partial<Term>, readonly Datum[]][] = [
      ["completions", {}, DATA],
      ["one text", { anchors: [anchor(TEXTS)] }, TEXTS],
      ["two texts", { anchors: [anchor(TEXTS), anchor(OTHER)] }, [...TEXTS, ...OTHER]],
      ["a text and the completions", { anchors: [anchor(OTHER)], completions: true }, [...DATA, ...OTHER]],
    ];
    for (const [name, where, all] of texts) {
      for (const atOnce of [Number.POSITIVE_INFINITY, 1]) {
        const engine = moved(atOnce);
        const expected = await meanOver(engine, all);
        const { rows } = await run(engine, [{ regularizer: kl(engine), weight: 0.5, ...where }], { steps: 1 });
        expect(rows[0]!.kl_divergence, name).toBeCloseTo(expected, 5);
        expect(rows[0]!.loss, name).toBeCloseTo(rows[0]!.cross_entropy + 0.5 * expected, 5);
      }
    }
  });

  test("the gradient of a mixture is that of one text that holds all of it", async () => {
    const step = async (regularizers: (engine: TableModel) => Term[], data = DATA) => {
      const engine = moved();
      await run(engine, regularizers(engine), { steps: 1, data });
      return engine.delta;
    };
    const mixed = await step((engine) => [
      { regularizer: kl(engine), weight: 2, anchors: [anchor(TEXTS), anchor(OTHER)] },
    ]);
    const joined = await step((engine) => [
      { regularizer: kl(engine), weight: 2, anchors: [anchor([...TEXTS, ...OTHER])] },
    ]);
    const both = await step((engine) => [
      { regularizer: kl(engine), weight: 2, anchors: [anchor(OTHER)], completions: true },
    ]);
    const asText = await step((engine) => [
      { regularizer: kl(engine), weight: 2, anchors: [anchor([...OTHER, ...DATA])] },
    ]);
    for (const [i, value] of mixed.entries()) expect(value).toBeCloseTo(joined[i]!, 5);
    for (const [i, value] of both.entries()) expect(value).toBeCloseTo(asText[i]!, 5);
    expect(both).not.toEqual(mixed);
  });

  test("a computed reference is asked once a step for all rows of its regularizer", async () => {
    const engine = moved(1);
    const asked: number[] = [];
    const reference = computedReference(async (data) => {
      asked.push(data.length);
      return engine.sampler("base").distributions(data);
    });
    const regularizer = new KLDivergence({ reference });
    await run(engine, [{ regularizer, weight: 0.5, anchors: [anchor(TEXTS, 2), anchor(OTHER, 1)], completions: true }]);
    expect(asked).toEqual([6, 6, 6, 6]);
  });
});

describe("refreshed", () => {
  test("every so many steps the text is another, drawn once", async () => {
    const drawn: number[] = [];
    const draw = async (step: number) => {
      drawn.push(step);
      return [text(step % VOCABULARY, 2, `drawn ${step}`)];
    };
    const next = anchorTexts({ ...anchor(TEXTS, 1), refresh: { every: 3, draw } });
    const sources: string[] = [];
    for (let step = 1; step <= 8; step++) sources.push((await next(step))[0]!.source!);
    expect(sources.slice(0, 3).every((source) => source.startsWith("texts"))).toBe(true);
    expect(sources.slice(3)).toEqual(["drawn 4", "drawn 4", "drawn 4", "drawn 7", "drawn 7"]);
    expect(drawn).toEqual([4, 7]);
  });
});

describe("a reference that is waited for", () => {
  test("is given up at once when training is ended, and the steps taken stay", async () => {
    const engine = moved();
    const controller = new AbortController();
    let told: AbortSignal | undefined;
    let calls = 0;
    const reference = computedReference((data, { signal }) => {
      if (++calls < 3) return engine.sampler("base").distributions(data);
      told = signal;
      setTimeout(() => controller.abort(), 5);
      return new Promise<never>(() => undefined);
    });
    const regularizer = new KLDivergence({ reference });
    const before = engine.delta.slice();
    const { rows, interrupted } = await run(engine, [{ regularizer, weight: 0.5 }], {
      steps: 10,
      signal: controller.signal,
    });
    expect(rows).toHaveLength(2);
    expect(interrupted).toBe(true);
    expect(told!.aborted).toBe(true);
    expect(engine.delta).not.toEqual(before);
  });

  test("that fails is an error all the same, even after the end was asked for", async () => {
    const engine = moved();
    const controller = new AbortController();
    const reference = computedReference(
      () => {
        throw new Error("no such server");
      },
      { retries: 0 },
    );
    const running = run(engine, [{ regularizer: new KLDivergence({ reference }), weight: 0.5 }], {
      signal: controller.signal,
    });
    await expect(running).rejects.toThrow(
      'regularizer "kl_divergence": the reference computeReference failed: no such server',
    );
  });
});

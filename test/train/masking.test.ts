import { expect, test } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { worstPositions, worstToken } from "../../src/drift/worst-tokens.ts";
import type { LocalModelOptions } from "../../src/engine/local/base-model.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { baseReference } from "../../src/reference/base.ts";
import { budgetWeight, Entropy, excludeTokens, JensenShannon, KLDivergence } from "../../src/regularizer/index.ts";
import { stepMetrics } from "../../src/train/metrics.ts";
import { train } from "../../src/train/train.ts";
import { MODEL } from "../engine/local/fixture.ts";
import { randomData } from "../engine/local/models.ts";
import { ADAMW } from "./adamw.ts";

/** @file On the embedded engine: neither rows that do not count nor the engine's parts change anything that a step reports. */

/** Texts of which the first half is a prompt; some tokens count less than others. */
const TEXTS = randomData([12, 5, 18, 7], 320).map((datum, d): Datum => {
  const { weights } = datum.lossInputs;
  const data = weights.data.map((_, row) => (row < weights.data.length / 2 ? 0 : row % 3 === d % 3 ? 0.5 : 1));
  return {
    ...datum,
    source: `train.jsonl:${d + 1}`,
    lossInputs: { ...datum.lossInputs, weights: { ...weights, data } },
  };
});

/** The same, with rows for what counts alone. */
function withoutPrompts(datum: Datum): Datum {
  const { target_tokens, weights } = datum.lossInputs;
  const rows = [...weights.data.keys()].filter((row) => weights.data[row]! > 0);
  const shape = [rows.length];
  return {
    ...datum,
    lossInputs: {
      target_tokens: { data: Int32Array.from(rows, (row) => target_tokens.data[row]!), shape },
      weights: { data: Float32Array.from(rows, (row) => weights.data[row]!), shape },
      positions: { data: Int32Array.from(rows), shape },
    },
  };
}

async function run(data: readonly Datum[], options: LocalModelOptions = {}) {
  const model = await LocalModel.open(MODEL, { threads: 1, ...options });
  const client = await model.trainingClient({ rank: 4, seed: 1 });
  const reference = baseReference(client.sampler("base"));
  const excluded = [...TEXTS[2]!.lossInputs.target_tokens.data.slice(-2)];
  const worst: unknown[] = [];
  const { rows } = await train({
    client,
    data,
    steps: 4,
    batchSize: 4,
    shuffle: false,
    optimizer: { ...ADAMW, learningRate: 1e-2, gradClip: 1 },
    regularizers: [
      {
        regularizer: new KLDivergence({ reference, clip: 0.05 }),
        weight: budgetWeight({ budget: 0.001, rate: 10 }),
      },
      {
        regularizer: excludeTokens(new KLDivergence({ name: "some", reference, direction: "forward" }), excluded),
        weight: 0.2,
      },
      { regularizer: new JensenShannon({ reference }), weight: 0 },
      { regularizer: new Entropy(), weight: 0.01 },
      {
        regularizer: new KLDivergence({ name: "anchor", reference, direction: "forward" }),
        weight: 0.5,
        anchors: [{ data: data.slice(2), batchSize: 2, seed: 3 }],
      },
    ],
    reportEvery: 1,
    onStep: ({ step }, { positions }) => {
      const decode = (tokens: ArrayLike<number>) => Array.from(tokens).join(" ");
      for (const each of worstPositions(positions, 2)) {
        const { value: _, ...where } = worstToken(step, each, { decode });
        // Capped values are equal, and of equal ones any may come first.
        if (/^(some|anchor)/.test(each.regularizer)) worst.push(where);
      }
    },
  });
  await client.close();
  await model.close();
  return { rows: rows.map(stepMetrics), worst };
}

test("prompts as rows of weight 0 or as no rows, all at once or few at a time: every number is the same", async () => {
  const whole = await run(TEXTS);
  const others = {
    "no rows for prompts": await run(TEXTS.map(withoutPrompts)),
    "three rows, and twenty tokens, at a time": await run(TEXTS, { rowsAtOnce: 3, tokensAtOnce: 20 }),
    "one at a time": await run(TEXTS.map(withoutPrompts), { rowsAtOnce: 1, tokensAtOnce: 1 }),
  };
  const last = whole.rows.at(-1)!;
  expect(Object.keys(last).length).toBeGreaterThan(50);
  expect(last["kl_divergence/kl_clipped"]).toBeGreaterThan(0);
  expect(last["some/kl_divergence"]).not.toBe(last["kl_divergence/kl_divergence"]);
  for (const [how, { rows, worst }] of Object.entries(others)) {
    for (const [i, { tokens_per_second: _, ...row }] of whole.rows.entries()) {
      const found = rows[i]!;
      expect(new Set(Object.keys(found)), how).toEqual(new Set(Object.keys(whole.rows[i]!)));
      for (const [name, value] of Object.entries(row)) {
        const off = Math.abs(found[name]! - value!) / Math.max(1e-3, Math.abs(value!));
        expect(off, `${how}, step ${i + 1}, ${name}: ${found[name]} for ${value}`).toBeLessThan(1e-3);
      }
    }
    expect(worst, how).toEqual(whole.worst);
    expect(worst).toHaveLength(3 * 2 * 2);
  }
});

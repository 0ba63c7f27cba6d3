import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Datum, rowCount, sliceRows } from "../../src/data/datum.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { drawBaseSamples } from "../../src/model/base-samples.ts";
import { baseReference } from "../../src/reference/base.ts";
import { type HiddenModel, HiddenStates } from "../../src/reference/hidden-states.ts";
import { KLDivergence } from "../../src/regularizer/kl-divergence.ts";
import { train } from "../../src/train/train.ts";
import { ADAMW } from "../train/adamw.ts";

const FOLDER = fileURLToPath(new URL("../../models/small-world/", import.meta.url));
let model: LocalModel;
let data: readonly Datum[];
beforeAll(async () => {
  model = await LocalModel.open(FOLDER, { threads: 1 });
  const how = { samples: 6, max_tokens: 10, temperature: 1, seed: 2 };
  data = await drawBaseSamples(model.sampler(), loadTokenizer(FOLDER), how);
});
afterAll(() => model.close());

/** The base, and whatever it read. */
function watched() {
  const base = model.sampler();
  const read: Datum[] = [];
  const watched: HiddenModel = {
    hidden: (data) => {
      read.push(...data);
      return base.hidden(data);
    },
    fromHidden: (hidden) => base.fromHidden(hidden),
  };
  return { read, watched, base };
}

function expectClose(found: readonly Tensor[], expected: readonly Tensor[]) {
  expect(found.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  for (const [i, { data }] of found.entries()) {
    const off = data.reduce((most, x, j) => Math.max(most, Math.abs(x - expected[i]!.data[j]!)), 0);
    expect(off).toBeLessThan(1e-4);
  }
}

describe("hidden states that are kept", () => {
  test("give the distributions that the model gives, of whole data and of cut ones", async () => {
    const { watched: model, base, read } = watched();
    const states = new HiddenStates(model);
    await states.read(data);
    expectClose(await states.distributions(data), await base.distributions(data));
    const cut = [sliceRows(data[3]!, 1, rowCount(data[3]!)), sliceRows(sliceRows(data[1]!, 1, 4), 1, 2)];
    expectClose(await states.distributions(cut), await base.distributions(cut));
    expect(read).toEqual(data);
    // A datum never read as a whole is, when a part of it is asked about.
    const other = new HiddenStates(model);
    expectClose(await other.distributions(cut), await base.distributions(cut));
    expect(read.slice(data.length)).toEqual([data[3], data[1]]);
  });

  test("are the oldest's no more when there are too many", async () => {
    const { watched: kept, read } = watched();
    const bytes = (datum: Datum) => rowCount(datum) * model.config.hiddenSize * 4;
    const states = new HiddenStates(kept, bytes(data[0]!) + bytes(data[1]!));
    for (const i of [0, 1, 1, 0]) await states.distributions([data[i]!]);
    expect(read).toEqual([data[0], data[1]]);
    await states.distributions([data[2]!]);
    await states.distributions([data[0]!]);
    expect(read.slice(2)).toEqual([data[2], data[0]]);
    // What is asked about at once is kept at once, however much it is.
    await states.read(data);
    const before = read.length;
    await states.distributions(data);
    expect(read).toHaveLength(before);
  });

  test("in training: the base reads each text once, in many steps and parts, and KL begins at 0", async () => {
    const { watched: base, read } = watched();
    const small = await LocalModel.open(FOLDER, { threads: 1, rowsAtOnce: 4 });
    const client = await small.trainingClient({ rank: 2, seed: 1 });
    const reference = baseReference({ ...base, distributions: small.sampler().distributions });
    const { rows } = await train({
      client,
      data,
      steps: 5,
      batchSize: 4,
      seed: 1,
      shuffle: true,
      optimizer: { ...ADAMW, learning_rate: 1e-2 },
      regularizers: [
        { regularizer: new KLDivergence({ name: "one", reference }), weight: 0.1 },
        { regularizer: new KLDivergence({ name: "other", direction: "reverse", reference }), weight: 0.1 },
      ],
    });
    expect(new Set(read).size).toBe(data.length);
    expect(read).toHaveLength(data.length);
    expect(rows[0]!["one/kl_divergence"]).toBeCloseTo(0, 6);
    expect(rows[4]!["one/kl_divergence"]).toBeGreaterThan(0);
    await client.close();
    await small.close();
  });
});

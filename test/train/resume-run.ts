import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LocalModel } from "../../src/engine/index.ts";
import { loadDataset, loadTokenizer } from "../../src/index.ts";
import { baseReference, syncedReference } from "../../src/reference/index.ts";
import { adaptiveWeight, budgetWeight, Entropy, KLDivergence, l2 } from "../../src/regularizer/index.ts";
import type { StepResult } from "../../src/train/metrics.ts";
import type { TrainState } from "../../src/train/state.ts";
import { train } from "../../src/train/train.ts";

/** @file A training with all that a state has to hold, from a state or from the start; also as a process of its own. */

export const STEPS = 21;
const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** Trains up to the last step. Returns the steps taken and the state after each. */
export async function run(model: LocalModel, state?: TrainState) {
  const folder = path("models/small-world");
  const data = (await loadDataset(path("data/small-world/task/train.jsonl"), loadTokenizer(folder))).slice(0, 7);
  const client = await model.trainingClient({ rank: 2, seed: 3 });
  const states: TrainState[] = [];
  const { rows } = await train({
    client,
    data,
    state,
    steps: STEPS,
    batchSize: 2,
    reportEvery: 4,
    regularizers: [
      {
        regularizer: new KLDivergence({ reference: baseReference(client.sampler("base")) }),
        weight: budgetWeight({ budget: 0.01 }),
        anchors: [{ data: data.slice(0, 3), batchSize: 1, seed: 5 }],
      },
      {
        regularizer: new KLDivergence({
          name: "synced",
          reference: syncedReference(client.snapshots!, { every: 4 }),
        }),
        weight: adaptiveWeight({ target: 0.001 }),
      },
      { regularizer: new Entropy(), weight: 0.01 },
    ],
    adapterPenalties: [{ penalty: l2(), weight: 1e-3 }],
    onStep: async (_, step) => void states.push(await step.state()),
  });
  await client.close();
  return { rows: rows.map(numbers), states };
}

/** What a step measured, without its times. */
function numbers(row: StepResult): unknown {
  return JSON.parse(JSON.stringify(row, (key, value) => (/second/.test(key) ? undefined : value)));
}

export function toText({ step, values, tensors }: TrainState): string {
  const bytes = (data: Float32Array) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
  return JSON.stringify({
    step,
    values,
    tensors: [...tensors].map(([name, { data, shape }]) => [name, bytes(data), shape]),
  });
}

export function fromText(text: string): TrainState {
  const { step, values, tensors } = JSON.parse(text);
  const floats = (base64: string) => new Float32Array(new Uint8Array(Buffer.from(base64, "base64")).buffer);
  const all = tensors.map(([name, data, shape]: [string, string, number[]]) => [name, { data: floats(data), shape }]);
  return { step, values, tensors: new Map(all) };
}

export const open = (threads: number) => LocalModel.open(path("models/small-world"), { threads });

const [, own, threads, from, to] = process.argv;
if (own === fileURLToPath(import.meta.url)) {
  const model = await open(Number(threads));
  const { rows, states } = await run(model, fromText(readFileSync(from!, "utf8")));
  writeFileSync(to!, JSON.stringify({ rows, last: toText(states.at(-1)!) }));
  await model.close();
}

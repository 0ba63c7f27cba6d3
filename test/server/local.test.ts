import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { connect } from "../../src/engine/tinker/index.ts";
import { crossEntropyLoss } from "../../src/loss/cross-entropy.ts";
import { backward } from "../../src/model/backward.ts";
import { createServer } from "../../src/server/index.ts";
import { train } from "../../src/train/train.ts";

const FIXTURE = new URL("../fixtures/llama/", import.meta.url).pathname;

let model: LocalModel;
let folder: string;

beforeAll(async () => {
  model = await LocalModel.open(join(FIXTURE, "model"), { threads: 1 });
  folder = await mkdtemp(join(tmpdir(), "klamp-"));
});

afterAll(async () => {
  await model.close();
  await rm(folder, { recursive: true });
});

/** The whole of a text; or, as completions are trained, its last half alone. */
function toDatum(tokens: readonly number[], index: number): Datum {
  const positions = Int32Array.from(tokens.slice(1), (_, i) => i).slice(index % 2 === 0 ? 0 : tokens.length >> 1);
  const shape = [positions.length];
  return {
    modelInput: Int32Array.from(tokens.slice(0, -1)),
    lossInputs: {
      target_tokens: { data: positions.map((position) => tokens[position + 1]!), shape },
      weights: { data: new Float32Array(positions.length).fill(0.5), shape },
      positions: { data: positions, shape },
    },
  };
}

it("a model trained over HTTP is the model trained in this process", async () => {
  const { batches } = JSON.parse(await readFile(join(FIXTURE, "tokens.json"), "utf8")) as {
    batches: { tokens: number[][] }[];
  };
  const server = await createServer(model, { name: "llama", alpha: 16, checkpoints: folder });
  const service = await connect({ baseUrl: server.url });
  const remote = await service.createTrainingClient({ base_model: "llama", rank: 8, seed: 3 });
  const direct = await model.trainingClient({ rank: 8, alpha: 16, seed: 3 });
  const adam = { learning_rate: 5e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip_norm: 1 };
  const losses: number[] = [];
  for (let step = 0; step < 5; step++) {
    const batch = batches[0]!.tokens.map(toDatum);
    const [there, here] = [
      await backward(remote, batch, crossEntropyLoss()),
      await backward(direct, batch, crossEntropyLoss()),
    ];
    // The same numbers up to rounding: a cell without a position on the wire is a position of weight 0 to the engine.
    const loss = there.value;
    expect(Math.abs(loss / here.value - 1)).toBeLessThan(1e-5);
    expect(there.positions!.map(({ values }) => values.length)).toEqual(
      here.positions!.map(({ values }) => values.length),
    );
    const [norm, expected] = [(await remote.optimStep(adam)).grad_norm!, (await direct.optimStep(adam)).grad_norm!];
    expect(Math.abs(norm / expected - 1)).toBeLessThan(1e-4);
    losses.push(loss);
  }
  expect(losses[4]).toBeLessThan(losses[0]! * 0.99);

  const prompts = batches[1]!.tokens.map((tokens) => tokens.slice(0, 6));
  const params = { max_tokens: 8, temperature: 0 };
  const drawn = async (client: typeof remote | typeof direct, weights: "current" | "base") =>
    (await client.sampler(weights).sample(prompts, params)).map(({ tokens }) => [...tokens]);
  expect(await drawn(remote, "current")).toEqual(await drawn(direct, "current"));
  expect(await drawn(remote, "base")).toEqual(await drawn(direct, "base"));
  expect(await drawn(remote, "base")).not.toEqual(await drawn(remote, "current"));

  await remote.checkpoints.save("after-five");
  const restored = await service.createTrainingClient({ base_model: "llama", rank: 8 });
  await restored.checkpoints.load(`tinker://${remote.modelId}/weights/after-five`);
  const batch = batches[2]!.tokens.map(toDatum);
  expect(await restored.forward(batch)).toEqual(await remote.forward(batch));

  service.close();
  await server.close();
  await direct.close();
});

it("train() runs on it as on a model in this process", async () => {
  const { batches } = JSON.parse(await readFile(join(FIXTURE, "tokens.json"), "utf8")) as {
    batches: { tokens: number[][] }[];
  };
  const data = batches.flatMap(({ tokens }) => tokens.map(toDatum));
  const server = await createServer(model, { name: "llama", alpha: 16, checkpoints: folder });
  const service = await connect({ baseUrl: server.url });
  const remote = await service.createTrainingClient({ base_model: "llama", rank: 8, seed: 3 });
  const direct = await model.trainingClient({ rank: 8, alpha: 16, seed: 3 });
  const losses = [];
  for (const client of [remote, direct]) {
    const { rows } = await train({ client, data, steps: 6, batchSize: 4, optimizer: { learningRate: 5e-3 } });
    losses.push(rows.map(({ cross_entropy }) => cross_entropy));
  }
  const [there, here] = losses;
  expect(there!.at(-1)!).toBeLessThan(there![0]!);
  for (const [step, loss] of there!.entries()) expect(Math.abs(loss / here![step]! - 1)).toBeLessThan(1e-4);
  service.close();
  await server.close();
  await direct.close();
});

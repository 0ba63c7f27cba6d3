import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { connect } from "../../src/engine/tinker/index.ts";
import { createServer, localEngine } from "../../src/server/index.ts";

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
  const server = await createServer(localEngine(model, { name: "llama", alpha: 16 }), { checkpoints: folder });
  const service = await connect({ baseUrl: server.url });
  const remote = await service.createTrainingClient({ base_model: "llama", rank: 8, seed: 3 });
  const direct = await model.trainingClient({ rank: 8, alpha: 16, seed: 3 });
  const adam = { learning_rate: 5e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip_norm: 1 };
  const losses: number[] = [];
  for (let step = 0; step < 5; step++) {
    const batch = batches[0]!.tokens.map(toDatum);
    const [there, here] = [await remote.forwardBackward(batch), await direct.forwardBackward(batch)];
    // The same numbers up to rounding: a cell without a row on the wire is a row of weight 0 to the engine.
    const loss = there.metrics["loss:sum"]!;
    expect(Math.abs(loss / here.metrics["loss:sum"]! - 1)).toBeLessThan(1e-5);
    expect(there.logprobs.map(({ shape }) => shape)).toEqual(here.logprobs.map(({ shape }) => shape));
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

  await remote.saveState("after-five");
  const restored = await service.createTrainingClient({ base_model: "llama", rank: 8 });
  await restored.loadState(`tinker://${remote.modelId}/weights/after-five`);
  const batch = batches[2]!.tokens.map(toDatum);
  expect((await restored.forward(batch)).logprobs).toEqual((await remote.forward(batch)).logprobs);

  service.close();
  await server.close();
  await direct.close();
});

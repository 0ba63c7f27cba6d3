import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type Datum, everyToken } from "../../src/data/datum.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { connect, type RemoteTrainingClient, type ServiceClient } from "../../src/engine/tinker/index.ts";
import type { TrainingClient } from "../../src/model/contract.ts";
import { crossEntropyLoss, Entropy, KLDivergence, l2, orthogonality } from "../../src/regularizer/index.ts";
import { createServer, type RunningServer } from "../../src/server/index.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { temporaryFolder } from "../data/folders.ts";
import { FIXTURE, MODEL } from "../engine/local/fixture.ts";

/** @file Training a model on a server, which tells the log-probabilities of target tokens alone. */

const { batches } = JSON.parse(readFileSync(`${FIXTURE}tokens.json`, "utf8")) as { batches: { tokens: number[][] }[] };
const DATA: readonly Datum[] = batches.flatMap(({ tokens }) =>
  tokens.map((text, i) => {
    const datum = everyToken(text, `train.jsonl:${i + 1}`);
    datum.lossInputs.weights.data.fill(i % 2 === 0 ? 1 : 0.5);
    return datum;
  }),
);
const LORA = { rank: 4, seed: 3 } as const;

let model: LocalModel;
let server: RunningServer;
let service: ServiceClient;
let remote: RemoteTrainingClient;

beforeAll(async () => {
  model = await LocalModel.open(MODEL, { threads: 1 });
  server = await createServer(model, { name: "llama", alpha: 8, checkpoints: temporaryFolder(), holdMs: 200 });
  service = await connect({ baseUrl: server.url });
});

afterAll(async () => {
  service.close();
  await server.close();
  await model.close();
});

beforeEach(async () => {
  remote = await service.createTrainingClient({ base_model: "llama", ...LORA });
});

const run = (client: TrainingClient, changes: Partial<TrainOptions> = {}) =>
  train({ client, data: DATA, steps: 8, batchSize: 3, optimizer: { learningRate: 5e-3 }, now: () => 0, ...changes });

describe("cross-entropy alone", () => {
  test("trains there along the curve of the embedded engine", async () => {
    const embedded = await model.trainingClient({ ...LORA, alpha: 8 });
    const [there, here] = [(await run(remote)).rows, (await run(embedded)).rows];
    for (const [i, { loss, cross_entropy, grad_norm }] of there.entries()) {
      expect(Math.abs(cross_entropy / here[i]!.cross_entropy - 1), `step ${i + 1}`).toBeLessThan(1e-5);
      expect(loss).toBe(cross_entropy);
      expect(Math.abs(grad_norm / here[i]!.grad_norm - 1), `step ${i + 1}`).toBeLessThan(1e-3);
    }
    // It is a curve: texts that come again are better known.
    const known = (await run(remote, { data: DATA.slice(0, 3), steps: 5 })).rows;
    expect(known.at(-1)!.cross_entropy).toBeLessThan(0.99 * known[0]!.cross_entropy);
    await embedded.close();
  });

  test("a regularizer that works on targets holds there too", async () => {
    const embedded = await model.trainingClient({ ...LORA, alpha: 8 });
    const more = { steps: 3, regularizers: [{ regularizer: { name: "again", ...crossEntropyLoss() }, weight: 0.5 }] };
    const [there, here] = [(await run(remote, more)).rows, (await run(embedded, more)).rows];
    for (const [i, { loss, regularizers, cross_entropy }] of there.entries()) {
      expect(Math.abs(loss / here[i]!.loss - 1)).toBeLessThan(1e-5);
      expect(loss).toBeCloseTo(1.5 * cross_entropy, 6);
      expect(regularizers.again!.value).toBeCloseTo(cross_entropy, 6);
    }
    await embedded.close();
  });
});

describe("what a server does not offer is refused before the first step, by name", () => {
  test.each<[string, Partial<TrainOptions>, RegExp]>([
    [
      "a divergence",
      { regularizers: [new KLDivergence({ name: "to the base", referenceLogprobs: [] })] },
      /log-probabilities of target tokens alone, and to the base needs the whole vocabulary: use an embedded engine/,
    ],
    [
      "of several those alone that need it",
      { regularizers: [{ name: "again", ...crossEntropyLoss() }, new Entropy({ name: "wide" })] },
      /alone, and wide needs the whole vocabulary/,
    ],
    [
      "penalties on the adapter's matrices",
      { adapterPenalties: [{ penalty: l2({ name: "small" }) }, { penalty: orthogonality() }] },
      /adapter's matrices on its server, so penalties on them \(small, orthogonality\) need an embedded engine/,
    ],
  ])("%s", async (_, options, message) => {
    const calls: string[] = [];
    const client: TrainingClient = {
      forward: (data) => remote.forward(data),
      forwardBackward: async (data, add) => {
        calls.push("forwardBackward");
        await remote.forwardBackward(data, add);
      },
      optimStep: async (params) => {
        calls.push("optimStep");
        return remote.optimStep(params);
      },
      sampler: (weights) => remote.sampler(weights),
    };
    const failing = run(client, options);
    await expect(failing).rejects.toThrow(UserError);
    await expect(failing).rejects.toThrow(message);
    expect(calls).toEqual([]);
    await run(client, { steps: 1 });
    expect(calls).toEqual(["forwardBackward", "optimStep"]);
  });
});

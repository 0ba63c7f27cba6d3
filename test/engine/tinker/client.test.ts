import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Datum } from "../../../src/data/datum.ts";
import {
  AuthenticationError,
  connect,
  OperationFailedError,
  type RemoteTrainingClient,
  RequestRefusedError,
  type ServiceClient,
} from "../../../src/engine/tinker/index.ts";
import type { CustomLoss } from "../../../src/model/legacy.ts";
import { createServer, type RunningServer } from "../../../src/server/index.ts";
import { adam, Bigram, bigramEngine, datum } from "./bigram.ts";

let folder: string;
let server: RunningServer;
let service: ServiceClient;
let remote: RemoteTrainingClient;
let engine: ReturnType<typeof bigramEngine>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "klamp-"));
  engine = bigramEngine();
  server = await createServer(engine, { checkpoints: folder, holdMs: 200, apiKey: "tml-key" });
  service = await connect({ baseUrl: server.url, apiKey: "tml-key" });
  remote = await service.createTrainingClient({ base_model: "bigram", rank: 4, seed: 1 });
});

afterEach(async () => {
  service.close();
  await server.close();
  await rm(folder, { recursive: true });
});

/** Rows at positions of their own, two of them at one position. */
const sparse: Datum = {
  modelInput: Int32Array.of(3, 4, 5, 0),
  lossInputs: {
    target_tokens: { data: Int32Array.of(1, 5, 2), shape: [3] },
    weights: { data: Float32Array.of(1, 0.5, -2), shape: [3] },
    positions: { data: Int32Array.of(3, 1, 1), shape: [3] },
  },
};
const batch = [datum([0, 1, 2], [1, 2, 3], [0, 1, 1]), sparse, datum([5, 5], [0, 1], [2, 0.25])];

describe("a remote model is trained like one in this process", () => {
  it("gives the same log-probabilities, losses, gradient norms and samples at every step", async () => {
    const direct = new Bigram();
    for (let step = 0; step < 5; step++) {
      const [there, here] = [await remote.forwardBackward(batch), await direct.forwardBackward(batch)];
      expect(there).toEqual(here);
      expect(await remote.forward(batch)).toEqual(await direct.forward(batch));
      expect(await remote.optimStep(adam)).toEqual(await direct.optimStep(adam));
    }
    const prompts = [[0], [3, 1]];
    const params = { max_tokens: 6, temperature: 0, stop: [2] };
    expect(await remote.sampler("current").sample(prompts, params)).toEqual(
      await direct.sampler("current").sample(prompts, params),
    );
    const texts = [[0, 1, 2, 3], [4]];
    expect(await remote.sampler("current").computeLogprobs(texts)).toEqual(
      await direct.sampler("current").computeLogprobs(texts),
    );
    expect(await remote.sampler("base").computeLogprobs(texts)).toEqual(
      await direct.sampler("base").computeLogprobs(texts),
    );
    expect(await remote.sampler("base").computeLogprobs(texts)).not.toEqual(
      await remote.sampler("current").computeLogprobs(texts),
    );
  });

  it("takes calls in the order they are made, awaited or not", async () => {
    const steps = Array.from({ length: 5 }, () => [remote.forwardBackward(batch), remote.optimStep(adam)] as const);
    const losses = await Promise.all(steps.map(async ([output]) => (await output).metrics["loss:sum"]!));
    await Promise.all(steps.map(([, step]) => step));
    expect(engine.clients[0]!.calls).toEqual(
      Array.from({ length: 5 }, () => ["forwardBackward 3", "optimStep"]).flat(),
    );
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
  });

  it("splits a batch that is too large for one request, in order", async () => {
    const many = Array.from({ length: 1100 }, (_, i) => datum([i % 6], [(i * 5) % 6], [i % 3]));
    const direct = new Bigram();
    const [there, here] = [await remote.forwardBackward(many), await direct.forwardBackward(many)];
    expect(there.logprobs).toEqual(here.logprobs);
    expect(there.metrics["loss:sum"]).toBeCloseTo(here.metrics["loss:sum"]!, 6);
    expect(engine.clients[0]!.calls).toEqual(["forwardBackward 1024", "forwardBackward 76"]);
    expect((await remote.optimStep(adam)).grad_norm).toBeCloseTo((await direct.optimStep(adam)).grad_norm!, 6);
  });

  it("samples weights as they are when a call begins", async () => {
    const sampler = remote.sampler("current");
    const before = await sampler.computeLogprobs([[0, 1]]);
    expect(await sampler.computeLogprobs([[0, 1]])).toEqual(before);
    await remote.forwardBackward([datum([0], [1])]);
    await remote.optimStep(adam);
    expect((await sampler.computeLogprobs([[0, 1]]))[0]![1]).toBeGreaterThan(before[0]![1]!);
  });

  it("draws equal prompts apart, and the same for the same seed", async () => {
    const draw = (seed: number) => remote.sampler("base").sample([[0], [0]], { max_tokens: 12, seed });
    const [first, second] = await draw(1);
    expect(first!.tokens).not.toEqual(second!.tokens);
    expect(await draw(1)).toEqual([first, second]);
    expect(await draw(2)).not.toEqual([first, second]);
  });
});

describe("a custom loss", () => {
  /** Squared log-probabilities, weighted: no cross-entropy. */
  const squares: CustomLoss = {
    support: "sampled",
    compute: (data, logprobs) => {
      const terms = logprobs.map(({ data: row }, i) =>
        row.map((logprob, r) => data[i]!.lossInputs.weights.data[r]! * logprob ** 2),
      );
      const gradient = logprobs.map(({ data: row, shape }, i) => ({
        data: row.map((logprob, r) => 2 * data[i]!.lossInputs.weights.data[r]! * logprob),
        shape,
      }));
      return {
        loss: terms.reduce((sum, row) => sum + row.reduce((s, x) => s + x, 0), 0),
        gradient,
        metrics: { seen: data.length },
      };
    },
  };

  it("has the gradient of a loss that is computed beside the model", async () => {
    const direct = new Bigram();
    expect(await remote.forwardBackwardCustom(batch, squares)).toEqual(
      await direct.forwardBackwardCustom(batch, squares),
    );
    expect(Math.hypot(...direct.gradient)).toBeGreaterThan(1);
    engine.clients[0]!.gradient.forEach((slope, i) => {
      expect(slope).toBeCloseTo(direct.gradient[i]!, 5);
    });
  });

  it("over the whole vocabulary is refused with what to do", async () => {
    const whole: CustomLoss = { ...squares, support: "vocabulary" };
    await expect(remote.forwardBackwardCustom(batch, whole)).rejects.toThrow(
      /no whole-vocabulary.*support "sampled".*embedded engine/,
    );
    await expect(remote.sampler("base").distributions(batch)).rejects.toThrow(/no whole-vocabulary.*computeLogprobs/);
  });

  it("of the adapter's matrices is refused with what to do", async () => {
    await expect(remote.backwardAdapter()).rejects.toThrow(
      /keeps the adapter's matrices on its server.*l1, l2, elastic_net, orthogonality.*embedded engine/,
    );
  });

  it("with a gradient for too few rows is refused", async () => {
    const short: CustomLoss = { support: "sampled", compute: () => ({ loss: 0, gradient: [], metrics: {} }) };
    await expect(remote.forwardBackwardCustom(batch, short)).rejects.toThrow(/shape none for datum 0, expected \[3\]/);
  });
});

describe("a state is saved under a name", () => {
  it("and goes on from there, optimizer and all, in this model or another", async () => {
    const step = async (client: RemoteTrainingClient) => [
      (await client.forwardBackward(batch)).metrics["loss:sum"],
      await client.optimStep(adam),
    ];
    await step(remote);
    await remote.saveState("first");
    const after = [await step(remote), await step(remote)];
    await remote.loadState("first");
    expect([await step(remote), await step(remote)]).toEqual(after);

    const other = await service.createTrainingClient({ base_model: "bigram", rank: 4 });
    await other.loadState(`tinker://${remote.modelId}/weights/first`);
    expect([await step(other), await step(other)]).toEqual(after);
  });

  it("that is a name and not a path", async () => {
    await expect(remote.saveState("../elsewhere")).rejects.toThrow(/"..\/elsewhere", expected letters/);
    await expect(remote.loadState("unheard-of")).rejects.toThrow(/saved no state named unheard-of/);
    await expect(remote.loadState(`tinker://${remote.modelId}/weights/unheard-of`)).rejects.toThrow(
      /no checkpoint tinker:/,
    );
    await expect(remote.saveAdapter()).rejects.toThrow(/saveState/);
  });
});

describe("what the server will not do is said in its own words", () => {
  it("a wrong key", async () => {
    const wrong = connect({ baseUrl: server.url, apiKey: "tml-other" });
    await expect(wrong).rejects.toThrow(AuthenticationError);
    await expect(wrong).rejects.toThrow(/401: the X-API-Key header.*check the API key/);
    await expect(connect({ baseUrl: server.url })).rejects.toThrow(AuthenticationError);
  });

  it("an unknown base model", async () => {
    const unknown = service.createTrainingClient({ base_model: "trigram" });
    await expect(unknown).rejects.toThrow(RequestRefusedError);
    await expect(unknown).rejects.toThrow(/trigram is not served here, expected bigram/);
  });

  it("a failing operation; the model goes on with the next", async () => {
    const failing = remote.forwardBackward([datum([9], [0])]);
    await expect(failing).rejects.toThrow(OperationFailedError);
    await expect(failing).rejects.toThrow(/token 9 is not in the vocabulary of 6/);
    expect((await remote.forward(batch)).logprobs).toHaveLength(3);
  });

  it("a datum without rows for its tokens is not even sent", async () => {
    await expect(remote.forward([datum([1, 2], [3])])).rejects.toThrow(/1 targets for 2 tokens/);
    expect(engine.clients[0]!.calls).toEqual([]);
  });
});

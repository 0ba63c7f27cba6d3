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
import type { Loss } from "../../../src/loss/contract.ts";
import { crossEntropyLoss } from "../../../src/loss/cross-entropy.ts";
import { backward } from "../../../src/model/backward.ts";
import type { TrainingClient } from "../../../src/model/contract.ts";
import { createServer, type RunningServer } from "../../../src/server/index.ts";
import { addLikelihood } from "../local/models.ts";
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

/** Positions of its own, two of them after the same token. */
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
      expect(await addLikelihood(remote, batch)).toEqual(await addLikelihood(direct, batch));
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
    const steps = Array.from({ length: 5 }, () => [addLikelihood(remote, batch), remote.optimStep(adam)] as const);
    const losses = await Promise.all(steps.map(async ([output]) => (await output).loss));
    await Promise.all(steps.map(([, step]) => step));
    expect(engine.clients[0]!.calls).toEqual(
      Array.from({ length: 5 }, () => ["forward", "forwardBackward 3", "optimStep"]).flat(),
    );
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
  });

  it("splits a batch that is too large for one request, in order", async () => {
    const many = Array.from({ length: 1100 }, (_, i) => datum([i % 6], [(i * 5) % 6], [i % 3]));
    const direct = new Bigram();
    expect(await addLikelihood(remote, many)).toEqual(await addLikelihood(direct, many));
    const calls = ["forward", "forward", "forwardBackward 1024", "forwardBackward 76"];
    expect(engine.clients[0]!.calls).toEqual(calls);
    expect((await remote.optimStep(adam)).grad_norm).toBeCloseTo((await direct.optimStep(adam)).grad_norm!, 6);
  });

  it("samples weights as they are when a call begins", async () => {
    const sampler = remote.sampler("current");
    const before = await sampler.computeLogprobs([[0, 1]]);
    expect(await sampler.computeLogprobs([[0, 1]])).toEqual(before);
    await addLikelihood(remote, [datum([0], [1])]);
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

describe("a loss of one's own", () => {
  /** Squared log-probabilities, weighted: no cross-entropy. */
  const squares: Loss = {
    support: "targets",
    begin: (items) => {
      let value = 0;
      return {
        add: ({ spans, logprobs }, { gradient, scale }) => {
          for (const [i, { index, from }] of spans.entries()) {
            for (const [row, logprob] of logprobs[i]!.data.entries()) {
              const weight = items[index]!.weights[from + row]!;
              value += weight * logprob ** 2;
              gradient[i]!.data[row]! += scale * 2 * weight * logprob;
            }
          }
        },
        end: () => ({ value, metrics: { seen: items.length } }),
      };
    },
  };

  it("has the gradient of a loss that is computed beside the model", async () => {
    const direct = new Bigram();
    expect(await backward(remote, batch, squares)).toEqual(await backward(direct, batch, squares));
    expect(Math.hypot(...direct.gradient)).toBeGreaterThan(1);
    engine.clients[0]!.gradient.forEach((g, i) => {
      expect(g).toBeCloseTo(direct.gradient[i]!, 5);
    });
  });

  it("that takes either is given targets: cross-entropy trains", async () => {
    const data = [datum([0, 1, 2], [1, 2, 3], [0, 1, 1]), datum([5, 5], [0, 1], [2, 0.25])];
    const direct = new Bigram();
    const losses: number[] = [];
    for (let step = 0; step < 30; step++) {
      const { value, metrics } = await backward(remote, data, crossEntropyLoss());
      expect(value).toBeCloseTo((await backward(direct, data, crossEntropyLoss())).value, 6);
      expect(metrics.cross_entropy).toBe(value);
      await remote.optimStep(adam);
      await direct.optimStep(adam);
      losses.push(value);
    }
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 3);
  });

  it("over the whole vocabulary is refused with what to do, and sends nothing", async () => {
    await expect(backward(remote, batch, { ...squares, support: "vocabulary" })).rejects.toThrow(
      /needs log-probabilities of the whole vocabulary.*target tokens alone: use a loss with support "targets" or "either", or an embedded engine/,
    );
    expect(engine.clients[0]!.calls).toEqual([]);
  });

  it("that fails sends no gradient, and the next call is as ever", async () => {
    const failing = remote.forwardBackward(batch, () => {
      throw new Error("no luck");
    });
    await expect(failing).rejects.toThrow("no luck");
    await addLikelihood(remote, batch);
    expect(engine.clients[0]!.calls).toEqual(["forward", "forward", "forwardBackward 3"]);
  });

  it("of no data asks nothing", async () => {
    const { value } = await backward(remote, [], crossEntropyLoss());
    expect(value).toBe(0);
    expect(engine.clients[0]!.calls).toEqual([]);
  });
});

it("nothing that a server does not tell is there to refuse", () => {
  const client: TrainingClient = remote;
  for (const capability of ["vocabulary", "matrices", "snapshots", "state", "revert", "folders", "lora"] as const) {
    expect(client[capability], capability).toBeUndefined();
  }
  const sampler = client.sampler("base");
  for (const capability of ["distributions", "hidden", "fromHidden", "eachRun"] as const) {
    expect(sampler[capability], capability).toBeUndefined();
  }
});

describe("a checkpoint is saved under a name", () => {
  it("and goes on from there, optimizer and all, in this model or another", async () => {
    const step = async (client: RemoteTrainingClient) => [
      (await addLikelihood(client, batch)).loss,
      await client.optimStep(adam),
    ];
    await step(remote);
    expect(await remote.checkpoints.save("first")).toBe(`tinker://${remote.modelId}/weights/first`);
    const after = [await step(remote), await step(remote)];
    await remote.checkpoints.load("first");
    expect([await step(remote), await step(remote)]).toEqual(after);

    const other = await service.createTrainingClient({ base_model: "bigram", rank: 4 });
    await other.checkpoints.load(`tinker://${remote.modelId}/weights/first`);
    expect([await step(other), await step(other)]).toEqual(after);
  });

  it("that is a name and not a path", async () => {
    await expect(remote.checkpoints.save("../elsewhere")).rejects.toThrow(/"..\/elsewhere", expected letters/);
    await expect(remote.checkpoints.load("unheard-of")).rejects.toThrow(/saved no checkpoint named unheard-of/);
    await expect(remote.checkpoints.load(`tinker://${remote.modelId}/weights/unheard-of`)).rejects.toThrow(
      /no checkpoint tinker:/,
    );
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
    const failing = addLikelihood(remote, [datum([9], [0])]);
    await expect(failing).rejects.toThrow(OperationFailedError);
    await expect(failing).rejects.toThrow(/token 9 is not in the vocabulary of 6/);
    expect(await remote.forward(batch)).toHaveLength(3);
  });

  it("a datum without targets for its tokens is not even sent", async () => {
    await expect(remote.forward([datum([1, 2], [3])])).rejects.toThrow(/1 targets for 2 tokens/);
    expect(engine.clients[0]!.calls).toEqual([]);
  });
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { klDivergence } from "../../src/divergence/kl-divergence.ts";
import { selectTopK } from "../../src/divergence/supports/top-k.ts";
import { connect, type ServiceClient } from "../../src/engine/tinker/index.ts";
import { baseReference, promptReference, type Reference, targetsReference } from "../../src/reference/index.ts";
import { createServer, type RunningServer } from "../../src/server/index.ts";
import { addLikelihood } from "../engine/local/models.ts";
import { adam, Bigram, bigramEngine, VOCABULARY } from "../engine/tinker/bigram.ts";
import { newStep, positionByPosition, rowsOf } from "./asking.ts";

/** @file A model on a server that speaks the Tinker API is a reference, as far as it tells its distributions. */

let folder: string;
let server: RunningServer;
let service: ServiceClient;
const here = new Bigram();
const DATA = [everyToken([0, 3, 1, 5, 2], "a"), everyToken([4, 4, 0], "b")];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "klamp-"));
  server = await createServer(bigramEngine(), { checkpoints: folder, holdMs: 200 });
  service = await connect({ baseUrl: server.url });
  for (let step = 0; step < 3; step++) {
    await addLikelihood(here, DATA);
    await here.optimStep(adam);
  }
});
afterAll(async () => {
  service.close();
  await server.close();
  await rm(folder, { recursive: true });
});

/** KL(reference‖model) of the trained model here, to each kind of reference over the base there. */
async function losses() {
  const p = await here.sampler("current").distributions(DATA);
  const there = await service.sampler({ base_model: "bigram" });
  const of = async (reference: Reference) => {
    const q = await rowsOf(reference, DATA);
    return p.reduce((sum, p, i) => sum + klDivergence(p, q[i]!, { direction: "reverse", reduction: "sum" }), 0);
  };
  return {
    exact: await of(baseReference(here.sampler("base"))),
    all: await of(promptReference(there, { k: VOCABULARY, vocabSize: VOCABULARY })),
    some: await of(promptReference(there, { k: 2, vocabSize: VOCABULARY })),
    targets: await of(targetsReference(there)),
  };
}

describe("a sampler on a server", () => {
  test("gives the k likeliest tokens, also position by position", async () => {
    const there = await service.sampler({ base_model: "bigram" });
    const whole = await here.sampler("base").distributions(DATA);
    const reference = promptReference(there, { k: 3, vocabSize: VOCABULARY });
    const found = await rowsOf(reference, DATA);
    for (const [i, { tokens, logprobs }] of found.entries()) {
      const expected = selectTopK(whole[i]!, 3);
      expect(tokens).toEqual(expected.tokens);
      expect(logprobs).toEqual(expected.logprobs);
    }
    const single = await positionByPosition(await reference.begin(DATA, newStep()), DATA, ({ tokens }) => tokens.data);
    expect(single).toEqual(found.map(({ tokens }) => [...tokens.data]));
  });

  test("bounds the divergence from below, the nearer the more it tells", async () => {
    const { exact, all, some, targets } = await losses();
    expect(all).toBeCloseTo(exact, 5);
    expect(some).toBeLessThan(exact);
    expect(some).toBeGreaterThan(0);
    expect(targets).toBeLessThan(exact);
    expect(targets).toBeGreaterThan(0);
  });

  test("with fewer tokens than asked for is refused", async () => {
    const there = await service.sampler({ base_model: "bigram" });
    const reference = promptReference(there, { k: VOCABULARY + 1, vocabSize: VOCABULARY });
    await expect(reference.begin(DATA, newStep())).rejects.toThrow(
      "the server knows 6 tokens at place 1 of a prompt, k is 7: lower k",
    );
  });

  test("has no log-probability of a target that is not the next token", async () => {
    const there = await service.sampler({ base_model: "bigram" });
    const other = everyToken([0, 3, 1], "other.jsonl:1");
    other.lossInputs.target_tokens.data[0] = 5;
    await expect(targetsReference(there).begin([other], newStep())).rejects.toThrow(
      "datum 0 (other.jsonl:1), position 0: the target is token 5, but the next token of the text is 3",
    );
  });
});

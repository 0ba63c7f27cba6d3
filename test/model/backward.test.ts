import { describe, expect, it } from "vitest";
import type { AddPart, Item, Loss, Step } from "../../src/loss/contract.ts";
import { crossEntropyLoss } from "../../src/loss/cross-entropy.ts";
import { backward, forwardBackwardFor } from "../../src/model/backward.ts";
import type { TrainingClient } from "../../src/model/contract.ts";
import { complaint } from "../data/folders.ts";
import { Bigram, datum } from "../engine/tinker/bigram.ts";

const DATA = [datum([0, 1], [1, 2], [1, 0.5]), datum([3], [4])];

/** Notes what is called, and adds nothing. */
function noting(support: NonNullable<Loss["support"]>, notes: unknown[]): Loss {
  return {
    support,
    begin: async (items: readonly Item[], step: Step) => {
      notes.push([items, step]);
      return {
        add: ({ logprobs }) => void notes.push(logprobs.map(({ shape }) => shape.length)),
        end: () => ({ value: 7, metrics: { soft_max: 1 } }),
      };
    },
  };
}

/** An engine that hands out nothing but shapes. */
function shapes(hasVocabulary: boolean): TrainingClient {
  const pass = (shape: number[]) => async (_: unknown, add: AddPart) => {
    const tensor = { data: new Float32Array(shape.reduce((a, b) => a * b, 1)), shape };
    await add({ spans: [{ index: 0, from: 0, to: 1 }], logprobs: [tensor] }, { gradient: [tensor], scale: 1 });
  };
  const client: Partial<TrainingClient> = {
    forwardBackward: pass([1]),
    ...(hasVocabulary && { vocabulary: { forwardBackward: pass([1, 3]) } }),
  };
  return client as TrainingClient;
}

describe("a loss alone on an engine", () => {
  it("begins with the data's own weights and step 1, and its measurements come back", async () => {
    const notes: unknown[] = [];
    expect(await backward(new Bigram(), DATA, noting("targets", notes))).toEqual({
      value: 7,
      metrics: { soft_max: 1 },
    });
    const items = DATA.map((each) => ({ datum: each, weights: each.lossInputs.weights.data }));
    expect(notes).toEqual([
      [items, { number: 1, full: false }],
      [1, 1],
    ]);
    const step = { number: 4, full: true };
    await backward(new Bigram(), DATA, noting("targets", notes), step);
    expect(notes[2]).toEqual([items, step]);
  });

  it.each([
    ["vocabulary", true, 2],
    ["targets", true, 1],
    ["either", true, 2],
    ["targets", false, 1],
    ["either", false, 1],
  ] as const)(
    "that needs %s, on an engine with whole distributions (%s), gets tensors of rank %d",
    async (support, has, rank) => {
      const notes: unknown[] = [];
      await backward(shapes(has), DATA, noting(support, notes));
      expect(notes[1]).toEqual([rank]);
    },
  );

  it("of whole distributions is refused where there are none, before it begins", async () => {
    const notes: unknown[] = [];
    expect(await complaint(() => backward(shapes(false), DATA, noting("vocabulary", notes)))).toBe(
      'this loss needs log-probabilities of the whole vocabulary, and this engine gives those of target tokens alone: use a loss with support "targets" or "either", or an embedded engine',
    );
    expect(notes).toEqual([]);
    expect(await complaint(() => forwardBackwardFor(shapes(false), {}, "kl_divergence"))).toMatch(
      /^kl_divergence needs/,
    );
  });

  it("trains", async () => {
    const client = new Bigram();
    const { value } = await backward(client, DATA, crossEntropyLoss());
    await client.optimStep({
      learning_rate: 0.1,
      beta1: 0.9,
      beta2: 0.99,
      eps: 1e-8,
      weight_decay: 0,
      grad_clip_norm: 0,
    });
    expect((await backward(client, DATA, crossEntropyLoss())).value).toBeLessThan(value);
  });
});

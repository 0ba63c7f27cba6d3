import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { everyToken } from "../../src/data/datum.ts";
import type { PromptTopK } from "../../src/model/contract.ts";
import { promptReference, SERVER_DEFAULTS } from "../../src/reference/index.ts";
import { newStep, rowsOf } from "./asking.ts";

const DATA = [everyToken([0, 1, 2], "a"), everyToken([2, 1], "b")];

/** The first k tokens at every position, each with this log-probability. */
function scores(prompts: readonly Int32Array[], k: number, logprob = -Math.log(k)): PromptTopK[] {
  return prompts.map(({ length }) => ({
    tokens: Int32Array.from({ length: length * k }, (_, i) => i % k),
    logprobs: new Float32Array(length * k).fill(logprob),
  }));
}

test("k is the default unless set, and the scorer's name that of the reference", async () => {
  const asked: number[] = [];
  const scorer = {
    description: "a server",
    promptTopK: async (prompts: readonly Int32Array[], k: number) => {
      asked.push(k);
      return scores(prompts, k);
    },
  };
  const reference = promptReference(scorer, { vocabSize: 30 });
  expect(reference.description).toBe("a server");
  const [first] = await rowsOf(reference, DATA);
  expect(first!.tokens.shape).toEqual([2, SERVER_DEFAULTS.k]);
  await rowsOf(promptReference(scorer, { k: 3, vocabSize: 30 }), DATA);
  expect(asked).toEqual([20, 3]);
});

describe("refused", () => {
  test("a client that does not score prompts, when the reference is made", () => {
    const make = () => promptReference({}, { vocabSize: 30 });
    expect(make).toThrow(UserError);
    expect(make).toThrow(
      "the reference (a model that scores prompts) needs a client with promptTopK, which this one does not have: use baseReference",
    );
  });

  test("answers that are not log-probabilities, with the datum as it stands in the batch", async () => {
    const promptTopK = async (prompts: readonly Int32Array[], k: number) =>
      scores(prompts, k, prompts[0]!.length === 2 ? 0.5 : undefined);
    const reference = promptReference({ promptTopK }, { k: 4, vocabSize: 30 });
    const step = newStep();
    await reference.begin([DATA[0]!], step);
    await expect(reference.begin(DATA, step)).rejects.toThrow(
      "the reference (a model that scores prompts), datum 1 (b), position 0: the probabilities of the 4 tokens sum to 6.595, expected at most 1",
    );
  });
});

test("the step's signal ends the wait for a scorer that does not listen to it", async () => {
  const controller = new AbortController();
  const promptTopK = () => new Promise<never>(() => undefined);
  const waiting = promptReference({ promptTopK }, { vocabSize: 30 }).begin(
    DATA,
    newStep({ signal: controller.signal }),
  );
  controller.abort("enough");
  await expect(waiting).rejects.toBe("enough");
});

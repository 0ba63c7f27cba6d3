import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { writeSafetensors } from "../../src/data/safetensors.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import { attachReference } from "../../src/reference/file.ts";
import { complaint, temporaryFolder } from "../data/folders.ts";

const VOCABULARY = 3;

/** Row r of tensor t holds t·100 + r·10 + v. */
function numbered(tensor: number, rows: number, width = VOCABULARY): Tensor {
  const data = Float32Array.from(
    { length: rows * width },
    (_, i) => tensor * 100 + Math.floor(i / width) * 10 + (i % width),
  );
  return { data, shape: [rows, width] };
}

async function fileOf(tensors: Record<string, Tensor>): Promise<string> {
  const path = join(temporaryFolder(), "base.safetensors");
  await writeSafetensors(path, new Map(Object.entries(tensors)));
  return path;
}

const [FIRST, SECOND] = [everyToken([0, 1, 2, 1, 0], "train.jsonl:1"), everyToken([2, 1, 0], "train.jsonl:4")];

describe("a reference from a file", () => {
  test("gives each datum the tensor of its number, under the name asked for, and leaves the datum itself alone", async () => {
    const path = await fileOf({ 1: numbered(1, 2), 0: numbered(0, 4) });
    const attached = await attachReference([FIRST, SECOND], path, "teacher", VOCABULARY);
    expect(attached.map(({ lossInputs }) => lossInputs.teacher)).toEqual([numbered(0, 4), numbered(1, 2)]);
    expect(attached[1]).toMatchObject({ source: "train.jsonl:4", modelInput: SECOND.modelInput });
    expect(FIRST.lossInputs.teacher).toBeUndefined();
  });

  test("keeps the rows that the datum asks for, at their positions", async () => {
    const path = await fileOf({ 0: numbered(0, 4) });
    const shape = [3];
    const { modelInput } = FIRST;
    const lossInputs = {
      target_tokens: { data: Int32Array.of(0, 1, 0), shape },
      weights: { data: Float32Array.of(1, 1, 1), shape },
      positions: { data: Int32Array.of(3, 0, 3), shape },
    };
    const shuffled = { modelInput, lossInputs, source: "train.jsonl:1" };
    const [attached] = await attachReference([shuffled], path, "teacher", VOCABULARY);
    expect(attached!.lossInputs.teacher).toEqual({
      data: Float32Array.of(30, 31, 32, 0, 1, 2, 30, 31, 32),
      shape: [3, 3],
    });
  });

  test("names the datum that has no tensor", async () => {
    const path = await fileOf({ 0: numbered(0, 4) });
    expect(await complaint(() => attachReference([FIRST, SECOND], path, "teacher", VOCABULARY))).toBe(
      `${path} has no tensor "1", datum 1 (train.jsonl:4) needs log-probabilities of shape [2, 3], one row per token after the first.`,
    );
  });

  test.each([
    ["a row too many", numbered(1, 3), "[3, 3]"],
    ["another vocabulary", numbered(1, 2, 5), "[2, 5]"],
    ["the target tokens alone", { data: new Float32Array(2), shape: [2] }, "[2]"],
  ])("shows both shapes and the datum for %s", async (_, wrong, found) => {
    const path = await fileOf({ 0: numbered(0, 4), 1: wrong });
    expect(await complaint(() => attachReference([FIRST, SECOND], path, "teacher", VOCABULARY))).toBe(
      `${path} holds tensor "1" with shape ${found}, datum 1 (train.jsonl:4) needs log-probabilities of shape [2, 3], one row per token after the first.`,
    );
  });

  test("a file that is not there", async () => {
    const path = join(temporaryFolder(), "none.safetensors");
    expect(await complaint(() => attachReference([FIRST], path, "teacher", VOCABULARY))).toContain(
      "none.safetensors: there is no such file",
    );
  });
});

import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";
import { openEngine } from "../../src/engine/open.ts";
import { createServer } from "../../src/server/index.ts";
import { temporaryFolder } from "../data/folders.ts";
import { bigramEngine } from "./tinker/bigram.ts";

const MODEL = fileURLToPath(new URL("../fixtures/llama/model", import.meta.url));

const loaded = vi.hoisted(() => [] as string[]);
vi.mock("../../src/engine/local/local-model.ts", (original) => {
  loaded.push("local");
  return original();
});
vi.mock("../../src/engine/tinker/engine.ts", (original) => {
  loaded.push("tinker");
  return original();
});

it("a model is opened where its settings say, and only that engine is loaded", async () => {
  const server = await createServer(bigramEngine(), { checkpoints: temporaryFolder(), holdMs: 200 });
  const remote = await openEngine({ type: "tinker", base_url: server.url, base_model: "bigram" });
  expect(remote.model.name).toBe("bigram");
  expect(loaded).toEqual(["tinker"]);
  const local = await openEngine({ type: "local", model: MODEL, threads: 1 });
  expect(local.model).toEqual({ name: MODEL, vocabSize: 320, maxPositions: 2048, cacheBytesPerToken: 512 });
  expect(loaded).toEqual(["tinker", "local"]);
  for (const each of [remote, local, server]) await each.close();
});

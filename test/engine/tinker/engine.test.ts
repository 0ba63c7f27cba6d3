import { afterEach, describe, expect, it } from "vitest";
import { openTinkerEngine } from "../../../src/engine/tinker/index.ts";
import { crossEntropyLoss } from "../../../src/loss/cross-entropy.ts";
import { backward } from "../../../src/model/backward.ts";
import { createServer } from "../../../src/server/index.ts";
import { complaint, temporaryFolder } from "../../data/folders.ts";
import { adam, bigramEngine, datum } from "./bigram.ts";

const closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of closing.splice(0).reverse()) await each.close();
});
const closed = <T extends { close(): Promise<void> }>(each: T): T => {
  closing.push(each);
  return each;
};

async function served() {
  const engine = bigramEngine();
  const server = closed(await createServer(engine, { checkpoints: temporaryFolder(), holdMs: 200 }));
  return { engine, base_url: server.url };
}

describe("a model on a server", () => {
  it("trains and samples", async () => {
    const { engine, base_url } = await served();
    const remote = closed(await openTinkerEngine({ base_url, base_model: "bigram" }));
    expect(remote.model).toEqual({
      name: "bigram",
      vocabSize: Number.POSITIVE_INFINITY,
      maxPositions: Number.POSITIVE_INFINITY,
    });
    expect(remote).not.toHaveProperty("stores");
    const client = await remote.trainingClient({ seed: 4, target_modules: ["q_proj", "k_proj", "v_proj", "o_proj"] });
    expect(engine.starts).toEqual([
      { rank: 32, alpha: 32, seed: 4, target_modules: ["q_proj", "k_proj", "v_proj", "o_proj"] },
    ]);
    await backward(client, [datum([0, 1], [1, 2])], crossEntropyLoss());
    await client.optimStep(adam);
    const path = await client.checkpoints!.save("one");
    const again = await remote.trainingClient({ adapter: path });
    expect(await again.forward([datum([0], [1])])).toEqual(await client.forward([datum([0], [1])]));
    const [logprobs] = await (await remote.sampler()).computeLogprobs([[0, 1]]);
    expect(logprobs).toEqual((await (await engine.sampler()).computeLogprobs([[0, 1]]))[0]);
  });

  it("that it does not serve is refused, and so is what the wire does not carry", async () => {
    const { base_url } = await served();
    expect(await complaint(() => openTinkerEngine({ base_url, base_model: "trigram" }))).toBe(
      `${base_url} does not serve trigram, expected one of its models: bigram.`,
    );
    const remote = closed(await openTinkerEngine({ base_url, base_model: "bigram" }));
    for (const [settings, expected] of [
      [{ alpha: 16 }, "LoRA's alpha is 16, and a Tinker server uses its own, 32: leave alpha out."],
      [{ use_rslora: true }, "use_rslora is true, and a Tinker server scales by alpha / rank: leave it out."],
      [
        { target_modules: ["q_proj"] },
        "LoRA's target_modules are q_proj, and a Tinker server trains all or none of q_proj, k_proj, v_proj, o_proj.",
      ],
      [
        { adapter: "./adapter" },
        "the adapter ./adapter is not on the server: give a tinker:// path that a save returned.",
      ],
    ] as const) {
      expect(await complaint(() => remote.trainingClient(settings))).toBe(expected);
    }
  });
});

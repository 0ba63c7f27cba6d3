import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { complaint } from "../../data/folders.ts";
import { FIXTURE, MODEL } from "./fixture.ts";
import { randomData } from "./models.ts";

describe("a local model", () => {
  it("says what it is, and what a store needs of it", async () => {
    const engine = await LocalModel.open(MODEL, { threads: 1 });
    expect(engine.model).toEqual({ name: MODEL, vocabSize: 320, maxPositions: 2048, cacheBytesPerToken: 512 });
    expect(engine.stores.hiddenSize).toBe(64);
    expect(engine.stores.digest()).toMatch(/^sha256:[0-9a-f]{64}$/);
    const adapters = ["adapter-init", "adapter-zero"].map((name) => engine.stores.adapterDigest(join(FIXTURE, name)));
    expect(new Set(await Promise.all(adapters)).size).toBe(2);
    const adapter = join(FIXTURE, "adapter-init");
    const client = await engine.trainingClient({ adapter });
    expect(client.lora).toMatchObject({ rank: 8, alpha: 16 });
    const data = randomData([5], 320);
    const [ofFolder, ofClient] = [await engine.sampler(adapter), client.sampler("current")];
    expect(await ofFolder.distributions(data)).toEqual(await ofClient.distributions(data));
    expect(await (await engine.sampler()).distributions(data)).not.toEqual(await ofClient.distributions(data));
    await client.close();
    await engine.close();
  });

  it("has LoRA's defaults, and refuses invalid settings", async () => {
    const engine = await LocalModel.open(MODEL, { threads: 1 });
    const client = await engine.trainingClient();
    expect(client.lora).toEqual({
      rank: 8,
      alpha: 16,
      target_modules: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
      use_rslora: false,
      dropout: 0,
    });
    await client.close();
    for (const [settings, expected] of [
      [{ rank: 0 }, "LoRA's rank is 0, expected a whole number of at least 1."],
      [{ alpha: -1 }, "LoRA's alpha is -1, expected a finite number above 0."],
      [{ target_modules: [] }, "LoRA's target_modules are [], expected"],
    ] as const) {
      expect(await complaint(() => engine.trainingClient(settings))).toContain(expected);
    }
    await engine.close();
  });
});

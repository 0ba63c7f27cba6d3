import { describe, expect, it } from "vitest";
import { createRandom } from "../../../src/common/random.ts";
import { buildDecoder } from "../../../src/engine/families/decoder.ts";
import { toLora } from "../../../src/engine/families/lora.ts";
import type { BaseModel } from "../../../src/engine/local/base-model.ts";
import { Dropout } from "../../../src/engine/local/dropout.ts";
import { type FloatTensor, loadRuntime } from "../../../src/engine/local/runtime.ts";
import type { LocalTrainingClient } from "../../../src/engine/local/training-client.ts";
import { loraSettings } from "../../../src/model/lora.ts";
import { addLikelihood, clearGradient, gradientOf, randomData, TINY, tinyModel } from "./models.ts";

const ADAM = { learning_rate: 0.05, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
const DATA = randomData([5, 9, 7], TINY.vocabSize);

/** B is not zero, or nothing would be dropped. */
function stir({ parameters }: LocalTrainingClient): void {
  const random = createRandom(4);
  for (const { data } of parameters.values()) for (let i = 0; i < data.length; i++) data[i] = random() - 0.5;
}

async function gradientsOf(client: LocalTrainingClient): Promise<Float64Array> {
  clearGradient(client);
  await addLikelihood(client, DATA);
  return gradientOf(client);
}

describe("masks", () => {
  it("hold 0 for the share, 1 / (1 − share) for the rest, each linear map and pass others, the same at the same place", async () => {
    const { dropout: inputs } = buildDecoder(TINY, toLora(TINY, loraSettings({})), { drops: true });
    const model = { runtime: await loadRuntime() } as BaseModel;
    const masks = (steps: number, passes: number, seed = 1) => {
      const dropout = new Dropout(0.25, seed, inputs);
      let fed = dropout.next(model, 400, steps);
      for (let i = 1; i < passes; i++) fed = dropout.next(model, 400, steps);
      return new Map([...fed].map(([name, tensor]) => [name, Array.from((tensor as FloatTensor).data)]));
    };
    const first = masks(3, 1);
    expect(first.size).toBe(14);
    const all = [...first.values()].flat();
    expect([...new Set(all)].sort()).toEqual([0, Math.fround(4 / 3)]);
    expect(all.filter((x) => x === 0).length / all.length).toBeCloseTo(0.25, 2);
    const texts = [...first.values()].map((mask) => mask.slice(0, 64).join());
    expect(new Set(texts).size).toBe(14);
    expect(masks(3, 1)).toEqual(first);
    for (const other of [masks(3, 2), masks(4, 1), masks(3, 1, 2)]) expect(other).not.toEqual(first);
  });
});

describe("a client with dropout", () => {
  it("drops in training alone: samplers give what they give without", async () => {
    const model = await tinyModel();
    const [plain, dropping] = await Promise.all([0, 0.5].map((dropout) => model.trainingClient({ rank: 4, dropout })));
    for (const client of [plain!, dropping!]) stir(client);
    const [exact, dropped] = [await gradientsOf(plain!), await gradientsOf(dropping!)];
    expect(dropped).not.toEqual(exact);
    for (const weights of ["current", "base"] as const) {
      expect(await dropping!.sampler(weights).distributions(DATA)).toEqual(
        await plain!.sampler(weights).distributions(DATA),
      );
    }
    expect(await dropping!.snapshots.take().distributions(DATA)).toEqual(
      await plain!.sampler("current").distributions(DATA),
    );
    for (const client of [plain!, dropping!]) await client.close();
    await model.close();
  });

  it("goes on with the same masks from a state, and from an adapter that says so", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient({ rank: 4, dropout: 0.5, seed: 7 });
    stir(client);
    for (let step = 0; step < 3; step++) {
      await addLikelihood(client, DATA);
      await client.optimStep(ADAM);
    }
    const state = await client.state.read();
    const expected = await gradientsOf(client);
    const again = await model.trainingClient({ rank: 4, dropout: 0.5, seed: 7 });
    await again.state.write(state);
    expect(await gradientsOf(again)).toEqual(expected);
    for (const each of [client, again]) await each.close();
    await model.close();
  });

  it.each([-0.1, 1, Number.NaN])("of %s is refused", async (dropout) => {
    expect(() => loraSettings({ dropout })).toThrow(
      `LoRA's dropout is ${dropout}, expected a number from 0 to below 1.`,
    );
  });
});

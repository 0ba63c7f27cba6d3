import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSafetensors, writeSafetensors } from "../../../src/data/safetensors.ts";
import { newAdapter } from "../../../src/engine/families/adapter.ts";
import { toLora } from "../../../src/engine/families/lora.ts";
import { readAdapter, writeAdapter } from "../../../src/engine/local/files/adapter.ts";
import { readModelConfig } from "../../../src/engine/local/files/model-config.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { LoraSettings } from "../../../src/model/lora.ts";
import { complaint, temporaryFolder } from "../../data/folders.ts";
import { FIXTURE, MODEL } from "./fixture.ts";
import { addLikelihood, norm, randomData, TINY, tinyModel, worstDifference, writeJson } from "./models.ts";

const PEFT = `${FIXTURE}adapter-init`;
const SETTINGS: LoraSettings = { rank: 3, alpha: 6, target_modules: ["q_proj", "down_proj"], use_rslora: false };

/** The adapter that PEFT wrote, with keys of its configuration changed. */
function changedConfig(changes: Record<string, unknown>): string {
  const folder = temporaryFolder();
  cpSync(join(PEFT, "adapter_model.safetensors"), join(folder, "adapter_model.safetensors"));
  const config = JSON.parse(readFileSync(join(PEFT, "adapter_config.json"), "utf8"));
  writeJson(folder, "adapter_config.json", { ...config, ...changes });
  return folder;
}

describe("an adapter's folder", () => {
  it("that PEFT wrote is read, and written again holds the same under the same names", async () => {
    const config = await readModelConfig(MODEL);
    const adapter = await readAdapter(PEFT, config);
    expect(adapter).toMatchObject({ rank: 8, alpha: 16, use_rslora: false });
    expect([...(adapter.target_modules as string[])].sort()).toEqual(
      ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"].sort(),
    );
    const folder = join(temporaryFolder(), "new", "adapter");
    await writeAdapter(folder, adapter, { name: "./models/base" });
    expect(readdirSync(folder).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    const [theirs, ours] = await Promise.all(
      [PEFT, folder].map((each) => openSafetensors(join(each, "adapter_model.safetensors"))),
    );
    expect([...ours!.shapes].sort()).toEqual([...theirs!.shapes].sort());
    expect(theirs!.shapes.size).toBe(2 * 7 * 2);
    for (const name of theirs!.shapes.keys()) expect(await ours!.read(name)).toEqual(await theirs!.read(name));
    for (const file of [theirs, ours]) await file!.close();

    const written = JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8"));
    const peft = JSON.parse(readFileSync(join(PEFT, "adapter_config.json"), "utf8"));
    // Nothing that PEFT would not know, and what both say is the same.
    for (const [key, value] of Object.entries(written)) {
      expect(peft, key).toHaveProperty([key]);
      if (key === "base_model_name_or_path") expect(value).toBe("./models/base");
      else if (key === "target_modules") expect([...(value as string[])].sort()).toEqual([...peft[key]].sort());
      else expect(value, key).toEqual(peft[key]);
    }
    for (const key of ["peft_type", "task_type", "r", "lora_alpha", "target_modules", "bias", "lora_dropout"]) {
      expect(written).toHaveProperty(key);
    }
    expect(await readAdapter(folder, config)).toEqual(adapter);
  });

  it("of part of the projections, with rslora, makes the same model where it is read again", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient({ ...SETTINGS, use_rslora: true, seed: 4 });
    const data = randomData([5, 8], 12);
    await addLikelihood(client, data);
    const params = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
    await client.optimStep({ ...params, learning_rate: 0.1 });
    const folder = temporaryFolder();
    await client.folders.saveAdapter(folder);
    const again = await model.trainingClient({ adapter: folder });
    expect([...again.parameters.keys()]).toEqual([...client.parameters.keys()]);
    expect(again.parameters.size).toBe(2 * 2 * 2);
    const [expected, found] = [await client.forward(data), await again.forward(data)];
    expect(found).toEqual(expected);
    const [base] = await client.sampler("base").distributions(data);
    const [tuned] = await again.sampler("current").distributions(data);
    expect(worstDifference(tuned!.data, base!.data)).toBeGreaterThan(0.1);
    expect((await again.sampler("base").distributions(data))[0]).toEqual(base);
    for (const each of [client, again]) await each.close();
    await model.close();
  });

  it.each([
    ["rank", { ...SETTINGS, rank: 4, alpha: 6 }, 1.5],
    ["the root of rank", { ...SETTINGS, rank: 4, alpha: 6, use_rslora: true }, 3],
  ])("scales B·A by alpha over %s", (_, settings, scale) => {
    const names = ["self_attn.q_proj", "mlp.down_proj"].flatMap((name) =>
      [0, 1].map((i) => `model.layers.${i}.${name}`),
    );
    expect(toLora(TINY, settings)).toEqual(new Map(names.map((name) => [name, { rank: 4, scale }])));
  });
});

describe("a fresh adapter", () => {
  it("starts as PEFT's: B zero, A even within ±1/√in, fixed by its seed; the model is its base", async () => {
    const wide = { ...TINY, hiddenSize: 64, headDim: 32 };
    const settings = { ...SETTINGS, rank: 64 };
    const { matrices } = newAdapter(wide, settings, 1);
    expect(matrices.size).toBe(8);
    for (const [name, { data, shape }] of matrices) {
      if (name.includes("lora_B")) {
        expect(norm(data)).toBe(0);
        continue;
      }
      const bound = 1 / Math.sqrt(shape[1]!);
      expect(data.every((x) => Math.abs(x) <= bound)).toBe(true);
      // An even spread has this standard deviation.
      expect(norm(data) / Math.sqrt(data.length) / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
    }
    expect(newAdapter(wide, settings, 1)).toEqual(newAdapter(wide, settings, 1));
    expect(newAdapter(wide, settings, 2)).not.toEqual(newAdapter(wide, settings, 1));

    const model = await tinyModel();
    const client = await model.trainingClient({ rank: 2 });
    const data = randomData([6], 12);
    expect(await client.sampler("current").distributions(data)).toEqual(
      await (await model.sampler()).distributions(data),
    );
    await client.close();
    await model.close();
  });
});

it("settings that leave base and product as they are load, whatever they say", async () => {
  const harmless = {
    init_lora_weights: "eva",
    eva_config: { rho: 2, tau: 0.99 },
    runtime_config: { ephemeral_gpu_offload: false },
    megatron_core: "megatron.core",
    peft_version: "0.21.0",
    use_dora: false,
    loftq_config: {},
  };
  const config = await readModelConfig(MODEL);
  expect(await readAdapter(changedConfig(harmless), config)).toEqual(await readAdapter(changedConfig({}), config));
});

it("a rank above the smaller side of every matrix is refused before anything of its size is made", async () => {
  const model = await tinyModel();
  const refused = (rank: number) => complaint(() => model.trainingClient({ rank }));
  for (const rank of [9, 64, 1e9, 2 ** 40]) {
    expect(await refused(rank)).toBe(
      `LoRA's rank is ${rank}, expected a whole number from 1 to 8, the smaller side of the model's largest matrix: no update has a higher one.`,
    );
  }
  await (await model.trainingClient({ rank: 8 })).close();
  await model.close();
});

describe("what is refused", () => {
  const LIMITS = "klamp loads LoRA adapters that leave the base as it is (peft_type LORA).";
  const config = readModelConfig(MODEL);

  it.each<[Record<string, unknown>, string]>([
    [{ peft_type: "IA3" }, 'has peft_type "IA3"'],
    [{ use_dora: true }, "sets use_dora to true"],
    [{ rank_pattern: { q_proj: "4" } }, 'has {"q_proj":"4"} for rank_pattern'],
    [{ alpha_pattern: ["q_proj"] }, 'has ["q_proj"] for alpha_pattern'],
    [{ modules_to_save: ["lm_head"] }, 'sets modules_to_save to ["lm_head"]'],
    [{ fan_in_fan_out: true }, "sets fan_in_fan_out to true"],
    [{ lora_bias: 1 }, "sets lora_bias to 1"],
    [{ layer_replication: [[0, 2]] }, "sets layer_replication to [[0,2]]"],
    [{ target_parameters: ["mlp.experts"] }, 'sets target_parameters to ["mlp.experts"]'],
    [{ a_setting_to_come: "yes" }, 'sets a_setting_to_come to "yes"'],
    [{ init_lora_weights: "pissa_niter_16" }, 'has init_lora_weights "pissa_niter_16", a start that changes the base'],
    [{ init_lora_weights: "loftq" }, 'has init_lora_weights "loftq"'],
    [{ layers_to_transform: ["1"] }, 'has layers_to_transform ["1"]'],
    [{ layers_to_transform: [1], target_modules: ".*_proj" }, "has layers_to_transform beside a regular expression"],
    [{ bias: "all" }, 'has bias "all"'],
    [{ r: 0 }, "is invalid: LoRA's rank is 0"],
    [{ r: 2.5 }, "is invalid: LoRA's rank is 2.5"],
    [{ lora_alpha: "16" }, 'has lora_alpha "16"'],
    [{ lora_alpha: -1 }, "is invalid: LoRA's alpha is -1"],
    [{ lora_dropout: 1 }, "is invalid: LoRA's dropout is 1"],
    [{ target_modules: [] }, "has target_modules []"],
    [{ target_modules: null }, "has target_modules null"],
    [{ target_modules: ["q_proj", "lm_head"] }, 'is invalid: LoRA\'s target_modules are ["q_proj","lm_head"]'],
  ])("%j", async (changes, expected) => {
    const folder = changedConfig(changes);
    const said = await complaint(async () => readAdapter(folder, await config), folder);
    expect(said).toContain(`adapter_config.json ${expected}`);
    expect(said).toContain(LIMITS);
  });

  it("an adapter of another model, another rank, or with more in it", async () => {
    const tiny = temporaryFolder();
    await writeAdapter(tiny, newAdapter(TINY, SETTINGS, 1), { name: "tiny" });
    const model = await LocalModel.open(MODEL, { threads: 1 });
    expect(await complaint(() => model.trainingClient({ adapter: tiny }), tiny)).toBe(
      "adapter_model.safetensors: base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight has shape [3, 8], this model and the adapter's settings need [3, 64]; was the adapter made for another model?",
    );
    const rank = changedConfig({ r: 4 });
    expect(await complaint(() => model.trainingClient({ adapter: rank }), rank)).toMatch(
      /lora_A\.weight has shape \[8, 64\], this model and the adapter's settings need \[4, 64\]/,
    );
    const fewer = changedConfig({ target_modules: ["q_proj"] });
    expect(await complaint(() => model.trainingClient({ adapter: fewer }), fewer)).toMatch(
      /^adapter_model\.safetensors holds base_model\.model\..*, which is not a LoRA matrix of this model/,
    );
    const { matrices, ...settings } = await readAdapter(PEFT, model.config);
    const [first, ...others] = matrices;
    const missing = changedConfig({});
    await writeSafetensors(join(missing, "adapter_model.safetensors"), new Map(others));
    expect(settings.rank).toBe(8);
    expect(await complaint(() => model.trainingClient({ adapter: missing }), missing)).toContain(
      `${first![0]} is missing, this model and the adapter's settings need [8, 64]`,
    );
    await model.close();
  });

  it("a folder without an adapter", async () => {
    const folder = temporaryFolder();
    const expected =
      "cannot read adapter_config.json: there is no such file; an adapter is a PEFT folder with adapter_config.json and adapter_model.safetensors.";
    expect(await complaint(() => readAdapter(folder, TINY), folder)).toBe(expected);
    writeJson(folder, "adapter_config.json", null);
    expect(await complaint(() => readAdapter(folder, TINY), folder)).toContain("has peft_type missing");
  });
});

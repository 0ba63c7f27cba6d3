import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { everyToken } from "../../../src/data/datum.ts";
import { writeSafetensors } from "../../../src/data/safetensors.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import { readModelConfig } from "../../../src/engine/local/files/model-config.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { complaint, temporaryFolder } from "../../data/folders.ts";
import { MODEL } from "./fixture.ts";
import { configJson, randomData, randomWeights, TINY, writeJson } from "./models.ts";

describe("config.json", () => {
  it("that is missing or no JSON object is refused", async () => {
    const folder = temporaryFolder();
    expect(await complaint(() => readModelConfig(folder), folder)).toContain(
      "config.json: there is no such file; a model is",
    );
    for (const [content, expected] of [
      ["{", "config.json is not valid JSON: "],
      ["null", "config.json does not hold a JSON object."],
    ] as const) {
      writeFileSync(join(folder, "config.json"), content);
      expect(await complaint(() => readModelConfig(folder), folder)).toContain(expected);
    }
  });
});

/** A folder of the tiny model with its tensors changed. */
async function folderOf(change: (weights: Map<string, Tensor>) => void, config = TINY): Promise<string> {
  const folder = temporaryFolder();
  const weights = randomWeights(config);
  change(weights);
  writeJson(folder, "config.json", configJson(config));
  await writeSafetensors(join(folder, "model.safetensors"), weights);
  return folder;
}

async function distributionsOf(folder: string, data = randomData([4, 7], 12)): Promise<Float32Array[]> {
  const model = await LocalModel.open(folder, { threads: 1 });
  const sampler = await model.sampler();
  const rows = await sampler.distributions(data);
  await model.close();
  return rows.map(({ data }) => data);
}

async function noticesOf(folder: string): Promise<readonly string[]> {
  const opened = await LocalModel.open(folder, { threads: 1 });
  await opened.close();
  return opened.model.notices ?? [];
}

describe("weights", () => {
  const NAME = "model.layers.1.self_attn.k_proj.weight";

  it("in shards make the same model as in one file", async () => {
    const folder = temporaryFolder();
    const weights = [...randomWeights(TINY)];
    const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const halves = [weights.slice(0, 9), weights.slice(9)];
    for (const [i, name] of names.entries()) await writeSafetensors(join(folder, name), new Map(halves[i]));
    const weight_map = Object.fromEntries(halves.flatMap((half, i) => half.map(([name]) => [name, names[i]])));
    writeJson(folder, "model.safetensors.index.json", { metadata: { total_size: 1 }, weight_map });
    writeJson(folder, "config.json", configJson(TINY));
    expect(await distributionsOf(folder)).toEqual(await distributionsOf(await folderOf(() => {})));

    rmSync(join(folder, names[1]!));
    expect(await complaint(() => LocalModel.open(folder), folder)).toBe(
      "cannot read model-00002-of-00002.safetensors: there is no such file; a safetensors file is expected there.",
    );
    for (const index of ["{", "{}", "null", '{"weight_map":{"a":7}}', '{"weight_map":{"a":"../b.safetensors"}}']) {
      writeFileSync(join(folder, "model.safetensors.index.json"), index);
      expect(await complaint(() => LocalModel.open(folder), folder)).toMatch(
        /^model\.safetensors\.index\.json is not (valid JSON: |an index of shards, JSON with a weight_map )/,
      );
    }
  });

  it.each(["BF16", "F16"] as const)("of type %s make the model of the rounded weights", async (dtype) => {
    const weights = randomWeights(TINY);
    const view = new DataView(new ArrayBuffer(4));
    const upper = (x: number) => {
      view.setFloat32(0, x);
      return view.getUint16(0);
    };
    const fromUpper = (bits: number) => {
      view.setUint32(0, bits * 65536);
      return view.getFloat32(0);
    };
    // 11 significant bits are what a half of this size holds.
    const toHalf = (x: number) => {
      const unit = 2 ** (Math.floor(Math.log2(Math.abs(x) || 1)) - 10);
      return Math.round(x / unit) * unit;
    };
    const folder = temporaryFolder();
    writeJson(folder, "config.json", configJson(TINY));
    const path = join(folder, "model.safetensors");
    const round = dtype === "BF16" ? (x: number) => fromUpper(upper(x)) : toHalf;
    if (dtype === "F16") await writeSafetensors(path, weights, { dtype });
    else {
      const header: Record<string, unknown> = {};
      let offset = 0;
      for (const [name, { data, shape }] of weights) {
        header[name] = { dtype, shape, data_offsets: [offset, offset + 2 * data.length] };
        offset += 2 * data.length;
      }
      const json = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeUInt32LE(json.length);
      const numbers = Uint16Array.from([...weights.values()].flatMap(({ data }) => Array.from(data, upper)));
      writeFileSync(path, Buffer.concat([length, json, new Uint8Array(numbers.buffer)]));
    }
    const rounded = await folderOf((all) => {
      for (const [name, { data, shape }] of all) all.set(name, { data: data.map(round), shape });
    });
    expect(await distributionsOf(folder)).toEqual(await distributionsOf(rounded));
    expect(await distributionsOf(folder)).not.toEqual(await distributionsOf(await folderOf(() => {})));
  });

  it("with a tied head: the embeddings, unless the file holds a head that differs, which is told", async () => {
    const tied = { ...TINY, tied: true };
    const embeddings = (weights: Map<string, Tensor>) => weights.get("model.embed_tokens.weight")!;
    const expected = await distributionsOf(
      await folderOf((weights) => weights.set("lm_head.weight", embeddings(weights))),
    );
    expect(await distributionsOf(await folderOf(() => {}, tied))).toEqual(expected);
    const stray = (weights: Map<string, Tensor>) => {
      const { data, shape } = embeddings(weights);
      weights.set("lm_head.weight", { data: data.map((x) => -x), shape });
    };
    const folder = await folderOf(stray, tied);
    const own = await distributionsOf(folder);
    expect(own).toEqual(await distributionsOf(await folderOf(stray)));
    expect(own).not.toEqual(expected);
    expect(await noticesOf(folder)).toEqual([
      `${folder} has a lm_head.weight of its own, though its config.json says tie_word_embeddings: it is used, as transformers does`,
    ]);
    const same = await folderOf((weights) => weights.set("lm_head.weight", embeddings(weights)), tied);
    expect(await distributionsOf(same)).toEqual(expected);
    expect(await noticesOf(same)).toEqual([]);
  });

  it("that the family has no place for are named, but for buffers that old folders hold", async () => {
    const vector = { data: new Float32Array(4), shape: [4] };
    const names = ["model.layers.0.self_attn.q_norm.weight", "model.layers.1.self_attn.q_proj.bias"];
    const folder = await folderOf((weights) => {
      for (const name of [...names, "model.layers.0.self_attn.rotary_emb.inv_freq"]) weights.set(name, vector);
    });
    expect(await noticesOf(folder)).toEqual([
      `${folder} holds ${names.join(", ")}, which LlamaForCausalLM has no place for: left out, as transformers does`,
    ]);
    expect(await distributionsOf(folder)).toEqual(await distributionsOf(await folderOf(() => {})));
  });

  it.each([NAME, "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"])(
    "without %s are refused",
    async (name) => {
      const folder = await folderOf((weights) => weights.delete(name));
      expect(await complaint(() => LocalModel.open(folder))).toBe(
        `${folder} holds no weight ${name}, which its config.json calls for.`,
      );
    },
  );

  it("of another shape are refused with both shapes, also when the numbers are as many", async () => {
    const folder = await folderOf((weights) => {
      weights.set(NAME, { data: weights.get(NAME)!.data, shape: [4, 16] });
    });
    expect(await complaint(() => LocalModel.open(folder), folder)).toBe(
      `model.safetensors holds ${NAME} with shape [4, 16], its config.json calls for [8, 8].`,
    );
  });

  it("cut off, or not there, or no folder at all", async () => {
    const folder = temporaryFolder();
    cpSync(join(MODEL, "config.json"), join(folder, "config.json"));
    expect(await complaint(() => LocalModel.open(folder), folder)).toContain(
      "cannot read model.safetensors: there is no such file",
    );
    const bytes = readFileSync(join(MODEL, "model.safetensors"));
    writeFileSync(join(folder, "model.safetensors"), bytes.subarray(0, bytes.length - 100));
    expect(await complaint(() => LocalModel.open(folder), folder)).toContain("it was cut off; fetch or write it again");
    mkdirSync(join(folder, "empty"));
    expect(await complaint(() => LocalModel.open(join(folder, "none")))).toContain(
      "none does not exist; give a Hugging",
    );
  });
});

it("a model reads up to its last position, and says where that is", async () => {
  const folder = await folderOf(() => {});
  const model = await LocalModel.open(folder, { threads: 1 });
  const sampler = await model.sampler();
  const tokens = Array.from({ length: TINY.maxPositions + 2 }, (_, i) => i % 12);
  const [rows] = await sampler.distributions([everyToken(tokens.slice(0, -1))]);
  expect(rows!.shape).toEqual([TINY.maxPositions, 12]);
  expect(await complaint(() => sampler.distributions([everyToken(tokens)]))).toBe(
    "datum 0 has 33 tokens, the model reads at most 32; shorten or split it.",
  );
  await model.close();
});

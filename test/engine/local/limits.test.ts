import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import { openSafetensors, writeSafetensors } from "../../../src/data/safetensors.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import { newAdapter } from "../../../src/engine/families/adapter.ts";
import { readAdapter, writeAdapter } from "../../../src/engine/local/files/adapter.ts";
import { readModelConfig } from "../../../src/engine/local/files/model-config.ts";
import { readState, writeState } from "../../../src/engine/local/files/state.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { Optimizer } from "../../../src/engine/local/optimizer.ts";
import { loraSettings } from "../../../src/model/lora.ts";

/** @file Model folders, adapters and states from which only NaN, or nothing at all, would follow: refused when they are read. */

const MODEL = fileURLToPath(new URL("../../fixtures/llama/model/", import.meta.url));

function copy(): string {
  const folder = mkdtempSync(join(tmpdir(), "klamp-limits-"));
  cpSync(MODEL, folder, { recursive: true });
  return folder;
}

async function refusal(work: () => unknown, folder: string): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof UserError) return error.message.replaceAll(`${folder}/`, "");
    throw error;
  }
  throw new Error("it was accepted");
}

describe("config.json", () => {
  const read = JSON.parse(readFileSync(join(MODEL, "config.json"), "utf8")) as object;
  test.each<[object, string | RegExp]>([
    [
      { num_hidden_layers: 100_000 },
      "config.json has 100000 for num_hidden_layers; a whole number of at most 10,000 is expected.",
    ],
    [
      { hidden_size: 2 ** 40 },
      "config.json has 1099511627776 for hidden_size; a whole number of at most 2,147,483,647 is expected.",
    ],
    [
      { vocab_size: 2 ** 31 - 1 },
      /^config\.json asks for .* vocab_size 2147483647: .* GB of weights, and this machine has .* of memory; choose/,
    ],
    [
      { num_hidden_layers: 10_000, intermediate_size: 2 ** 30 },
      /^config\.json asks for 10000 layers \(num_hidden_layers\)/,
    ],
    [{ max_position_embeddings: 1e300 }, /for max_position_embeddings; a number from .* is expected/],
    [{ rope_parameters: { rope_theta: 0 } }, "config.json has 0 for rope_theta; a positive number is expected."],
    [
      { rope_parameters: { rope_theta: 1e-30 } },
      "config.json has 1e-30 for rope_theta; a number from 1 to 1e+30 is expected.",
    ],
    [
      { rope_parameters: { rope_theta: 1e300 } },
      /^config\.json has 1e\+300 for rope_theta; a number from .* is expected/,
    ],
    [
      { rope_parameters: { rope_type: "linear", factor: 1e-37 } },
      /and the scaling \{"type":"linear","factor":1e-37\}, whose angles/,
    ],
    [{ rms_norm_eps: 0 }, "config.json has 0 for rms_norm_eps; a positive number is expected."],
    [{ rms_norm_eps: 1e-40 }, "config.json has 1e-40 for rms_norm_eps; a number from 1e-30 to 1 is expected."],
    [{ rms_norm_eps: 1e30 }, "config.json has 1e+30 for rms_norm_eps; a number from 1e-30 to 1 is expected."],
  ])("%j", async (changes, expected) => {
    const folder = copy();
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...read, ...changes }));
    const said = await refusal(() => readModelConfig(folder), folder);
    if (typeof expected === "string") expect(said).toBe(expected);
    else expect(said).toMatch(expected);
  });

  test("that is a folder, or a link to itself", async () => {
    const folder = copy();
    const path = join(folder, "config.json");
    rmSync(path);
    mkdirSync(path);
    expect(await refusal(() => LocalModel.open(folder), folder)).toContain("cannot read config.json: it is a folder");
    rmSync(path, { recursive: true });
    symlinkSync(path, path);
    expect(await refusal(() => LocalModel.open(folder), folder)).toContain("its links lead back to themselves");
  });
});

async function tensorsOf(path: string): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(path);
  const tensors = new Map<string, Tensor>();
  for (const name of file.shapes.keys()) tensors.set(name, await file.read(name));
  await file.close();
  return tensors;
}

async function spoil(path: string, name: string, value: number): Promise<void> {
  const { metadata, close } = await openSafetensors(path);
  await close();
  const tensors = await tensorsOf(path);
  tensors.get(name)!.data[1] = value;
  await writeSafetensors(path, tensors, { metadata });
}

test.each([Number.NaN, Number.NEGATIVE_INFINITY])("a weight of %d: the tensor is named", async (value) => {
  const folder = copy();
  await spoil(join(folder, "model.safetensors"), "model.norm.weight", value);
  expect(await refusal(() => LocalModel.open(folder), folder)).toContain(
    `model.safetensors holds ${value} in tensor model.norm.weight (number 1 of`,
  );
});

describe("an adapter and AdamW's moments", () => {
  const settings = loraSettings({ rank: 2 });
  async function saved() {
    const folder = mkdtempSync(join(tmpdir(), "klamp-limits-"));
    const config = await readModelConfig(MODEL);
    const adapter = newAdapter(config, settings, 1);
    const { parameters } = new Optimizer(adapter.matrices, { keepsPrevious: false });
    await writeAdapter(folder, adapter, { name: "base" });
    await writeState(folder, parameters, 3);
    return { folder, config, parameters, name: [...parameters.keys()][0]! };
  }

  test("a matrix with Infinity", async () => {
    const { folder, config, name } = await saved();
    await spoil(join(folder, "adapter_model.safetensors"), name, Number.POSITIVE_INFINITY);
    expect(await refusal(() => readAdapter(folder, config), folder)).toContain(`holds Infinity in tensor ${name}`);
  });

  test.each<[string, number, string]>([
    ["mean", Number.NaN, "optimizer.safetensors holds NaN in tensor mean."],
    ["variance", -1, "optimizer.safetensors holds numbers below 0 in variance."],
  ])("a %s of %d", async (which, value, expected) => {
    const { folder, config, parameters, name } = await saved();
    await spoil(join(folder, "optimizer.safetensors"), `${which}.${name}`, value);
    expect(await refusal(() => readState(folder, config, settings, parameters), folder)).toContain(expected);
  });

  test("a tensor that is no moment", async () => {
    const { folder, config, parameters } = await saved();
    const path = join(folder, "optimizer.safetensors");
    const tensors = await tensorsOf(path);
    await writeSafetensors(path, tensors.set("other", { data: new Float32Array(1), shape: [1] }), {
      metadata: { steps: "3" },
    });
    expect(await refusal(() => readState(folder, config, settings, parameters), folder)).toBe(
      "optimizer.safetensors holds other, which is no moment of this adapter.",
    );
  });
});

describe("tokenizer.json", () => {
  test.each<
    [string, (json: { model: { vocab: Record<string, unknown> }; added_tokens: unknown[] }) => unknown, RegExp]
  >([
    [
      "an added token of id 1e9",
      (json) => json.added_tokens.push({ content: "<far>", id: 1e9 }),
      /its added token "<far>" has the id 1000000000, expected a whole number from 0 to \d+, near its \d+ tokens/,
    ],
    [
      "an added token without a text",
      (json) => json.added_tokens.push({ id: 3 }),
      /an entry of its `added_tokens` has no text/,
    ],
    [
      "a token of id 2^40",
      (json) => Object.assign(json.model.vocab, { far: 2 ** 40 }),
      /its token "far" has the id 1099511627776, expected/,
    ],
    [
      "a token of id -1",
      (json) => Object.assign(json.model.vocab, { below: -1 }),
      /its token "below" has the id -1, expected/,
    ],
    [
      "merges that are no list",
      (json) => Object.assign(json.model, { merges: 7 }),
      /a part of it has another form than Python's tokenizers write/,
    ],
  ])("%s", async (_, change, expected) => {
    const folder = copy();
    const path = join(folder, "tokenizer.json");
    const json = JSON.parse(readFileSync(path, "utf8"));
    change(json);
    writeFileSync(path, JSON.stringify(json));
    expect(await refusal(() => loadTokenizer(folder), folder)).toMatch(expected);
  });

  test("a chat template that is a folder", async () => {
    const folder = copy();
    mkdirSync(join(folder, "chat_template.jinja"));
    expect(await refusal(() => loadTokenizer(folder), folder)).toBe(
      "cannot read chat_template.jinja: it is a folder, expected a file",
    );
  });

  test("a list of chat templates with a null in it", () => {
    const folder = copy();
    const path = join(folder, "tokenizer_config.json");
    const settings = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...settings, chat_template: [null] }));
    expect(loadTokenizer(folder).chatTemplate).toBe(null);
  });
});

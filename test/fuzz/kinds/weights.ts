import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openSafetensors } from "../../../src/data/safetensors.ts";
import { newAdapter } from "../../../src/engine/families/adapter.ts";
import type { ModelConfig } from "../../../src/engine/families/model-config.ts";
import { readAdapter, writeAdapter } from "../../../src/engine/local/files/adapter.ts";
import { readModelConfig } from "../../../src/engine/local/files/model-config.ts";
import { readModelWeights } from "../../../src/engine/local/files/model-weights.ts";
import { readState, writeState } from "../../../src/engine/local/files/state.ts";
import { Optimizer } from "../../../src/engine/local/optimizer.ts";
import { loraSettings } from "../../../src/model/lora.ts";
import type { FuzzKind } from "../kind.ts";
import { mutateBytes, mutateJson } from "../mutate.ts";
import type { Choices } from "../random.ts";
import { readJson } from "./sound.ts";

const FAMILY = fileURLToPath(new URL("../../fixtures/families/llama/", import.meta.url));
const ADAPTERS = fileURLToPath(new URL("../../fixtures/families/adapters/", import.meta.url));

interface Parts {
  readonly header: unknown;
  readonly body: Buffer;
}

function partsOf(bytes: Buffer): Parts {
  const length = Number(bytes.readBigUInt64LE());
  return { header: JSON.parse(bytes.toString("utf8", 8, 8 + length)), body: bytes.subarray(8 + length) };
}

/** A file of safetensors whose header, length, or bytes are changed. */
function mutateSafetensors({ header, body }: Parts, choices: Choices): Uint8Array {
  const json = Buffer.from(choices.chance(0.7) ? mutateJson(header, choices) : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  if (choices.chance(0.05)) length.writeBigUInt64LE(choices.of([0n, 1n, 7n, 2n ** 31n, 2n ** 53n, 2n ** 64n - 1n]));
  const changed = choices.chance(0.3) ? Buffer.from(body) : body;
  if (changed !== body)
    for (let i = 0; i < 2; i++) changed[choices.below(changed.length)] = choices.of([0xff, 0x7f, 0x80]);
  const bytes = Buffer.concat([
    length,
    json,
    changed.subarray(0, choices.chance(0.9) ? undefined : choices.below(9999)),
  ]);
  return choices.chance(0.1) ? mutateBytes(bytes, choices) : bytes;
}

/** Files of tensors, all of them read. */
export const safetensors: FuzzKind = {
  name: "safetensors",
  share: 8,
  open: async (folder) => {
    const path = join(folder, "model.safetensors");
    const parts = partsOf(readFileSync(join(FAMILY, "adapter", "adapter_model.safetensors")));
    return async (choices) => {
      writeFileSync(path, mutateSafetensors(parts, choices));
      const file = await openSafetensors(path);
      try {
        for (const name of file.shapes.keys()) await file.read(name);
      } finally {
        await file.close();
      }
    };
  },
};

/** A model in two shards with an index. */
export const shards: FuzzKind = {
  name: "shards",
  share: 3,
  open: async (folder) => {
    const { header, body } = partsOf(readFileSync(join(FAMILY, "model.safetensors")));
    const config = await readModelConfig(FAMILY);
    const { __metadata__, ...entries } = header as Record<string, { readonly data_offsets: [number, number] }>;
    const names = Object.keys(entries).sort((a, b) => entries[a]!.data_offsets[0] - entries[b]!.data_offsets[0]);
    const half = names.length >> 1;
    const weight_map: Record<string, string> = {};
    for (const [i, part] of [names.slice(0, half), names.slice(half)].entries()) {
      const file = `model-0000${i + 1}-of-00002.safetensors`;
      const from = entries[part[0]!]!.data_offsets[0];
      const to = entries[part.at(-1)!]!.data_offsets[1];
      const own = part.map((name) => {
        weight_map[name] = file;
        return [name, { ...entries[name], data_offsets: entries[name]!.data_offsets.map((at) => at - from) }];
      });
      const json = Buffer.from(JSON.stringify(Object.fromEntries(own)));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(json.length));
      writeFileSync(join(folder, file), Buffer.concat([length, json, body.subarray(from, to)]));
    }
    return async (choices) => {
      const index = { metadata: { total_size: body.length }, weight_map };
      writeFileSync(join(folder, "model.safetensors.index.json"), mutateJson(index, choices));
      await readModelWeights(folder, config);
    };
  },
};

/** Adapter folders. */
export const adapter: FuzzKind = {
  name: "adapter",
  share: 8,
  open: async (folder) => {
    const config = await readModelConfig(FAMILY);
    const kinds = [
      "alpha-pattern",
      "exclude-regex",
      "layers",
      "named-group",
      "one-layer-pattern",
      "rank-pattern-regex",
      "regex",
    ];
    const sound = [...kinds.map((name) => join(ADAPTERS, name)), join(FAMILY, "adapter")].map((from) => ({
      settings: readJson(from, "adapter_config.json"),
      parts: partsOf(readFileSync(join(from, "adapter_model.safetensors"))),
    }));
    return async (choices) => {
      const { settings, parts } = choices.of(sound);
      writeFileSync(join(folder, "adapter_config.json"), mutateJson(settings, choices));
      writeFileSync(
        join(folder, "adapter_model.safetensors"),
        choices.chance(0.5) ? pack(parts) : mutateSafetensors(parts, choices),
      );
      await readAdapter(folder, config);
    };
  },
};

function pack({ header, body }: Parts): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, body]);
}

/** States of training: an adapter with AdamW's moments. */
export const optimizer: FuzzKind = {
  name: "optimizer state",
  share: 4,
  open: async (folder) => {
    const config: ModelConfig = await readModelConfig(FAMILY);
    const settings = loraSettings({ rank: 2 });
    const adapter = newAdapter(config, settings, 1);
    const trained = new Optimizer(adapter.matrices, { keepsPrevious: false });
    await writeAdapter(folder, adapter, { name: "base" });
    await writeState(folder, trained.parameters, 3);
    const path = join(folder, "optimizer.safetensors");
    const parts = partsOf(readFileSync(path));
    return async (choices) => {
      writeFileSync(path, mutateSafetensors(parts, choices));
      trained.write(await readState(folder, config, settings, trained.parameters));
    };
  },
};

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../../common/errors.ts";
import { openSafetensors, type SafetensorsFile } from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { ModelConfig } from "../../families/model-config.ts";
import { weightShapes } from "../../families/weights.ts";

/**
 * Reads the weights of a Hugging Face folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 *
 * @throws UserError for a missing or truncated file, a missing weight, or one whose shape is not what config.json says.
 */
export async function readModelWeights(folder: string, config: ModelConfig): Promise<Map<string, Tensor>> {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of await shardPaths(folder)) files.push(await openSafetensors(path));
    const weights = new Map<string, Tensor>();
    for (const [name, shape] of weightShapes(config)) {
      const file = files.find((each) => each.shapes.has(name));
      if (!file) throw new UserError(`${folder} holds no weight ${name}, which its config.json calls for.`);
      weights.set(name, await readWeight(file, name, shape));
    }
    return weights;
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function readWeight(file: SafetensorsFile, name: string, shape: readonly number[]): Promise<Tensor> {
  const found = file.shapes.get(name)!;
  if (found.join() !== shape.join()) {
    throw new UserError(
      `${file.path} holds ${name} with shape [${found.join(", ")}], its config.json calls for [${shape.join(", ")}].`,
    );
  }
  return file.read(name);
}

async function shardPaths(folder: string): Promise<string[]> {
  const single = join(folder, "model.safetensors");
  const index = join(folder, "model.safetensors.index.json");
  if (existsSync(single) || !existsSync(index)) return [single];
  try {
    const { weight_map } = JSON.parse(await readFile(index, "utf8")) as { weight_map: Record<string, string> };
    return [...new Set(Object.values(weight_map))].map((file) => join(folder, file));
  } catch (cause) {
    throw new UserError(
      `${index} is not an index of shards, JSON with a weight_map: ${(cause as Error).message}; download it again.`,
      { cause },
    );
  }
}

import { makeRandom } from "../../data/random.ts";
import { UserError } from "../../errors.ts";
import { readAdapter } from "./adapter-files.ts";
import { type Lora, PROJECTIONS, type Projection, projectionName, projectionShape } from "./decoder.ts";
import type { ModelConfig } from "./model-folder.ts";
import { type Parameter, parameter } from "./parameters.ts";

/** What LoRA is in a run, as PEFT records it. */
export interface LoraSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly targetModules: readonly Projection[];
  /** Scale by alpha / √r instead of alpha / r (Kalajdzievski 2023, arXiv 2312.03732). */
  readonly useRslora: boolean;
}

/** An adapter in training. */
export interface Adapter extends LoraSettings {
  readonly parameters: Map<string, Parameter>;
}

/** PEFT's names are those of the graphs behind this prefix. */
export const PEFT_PREFIX = "base_model.model.";

export function loraOf({ rank, alpha, targetModules, useRslora }: LoraSettings): Lora {
  return { rank, scale: alpha / (useRslora ? Math.sqrt(rank) : rank), targets: new Set(targetModules) };
}

/** A fresh adapter as PEFT starts it: A uniform in ±1/√in, B zero, so that the model starts as its base. */
export function newAdapter(config: ModelConfig, settings: LoraSettings, seed: number): Adapter {
  const random = makeRandom(seed);
  const parameters = new Map<string, Parameter>();
  for (const [name, shape] of loraShapes(config, settings)) {
    const bound = name.includes("lora_A") ? 1 / Math.sqrt(shape[1]) : 0;
    const data = Float32Array.from({ length: shape[0] * shape[1] }, () => (random() * 2 - 1) * bound);
    parameters.set(name, parameter(data, shape));
  }
  return { ...settings, parameters };
}

/** An adapter from a PEFT folder, checked against the model. */
export function loadAdapter(config: ModelConfig, folder: string): Adapter {
  const { weights, rank, alpha, targetModules, useRslora } = readAdapter(folder);
  const settings: LoraSettings = {
    rank,
    alpha,
    targetModules: targetModules.map((name) => projection(name, folder)),
    useRslora,
  };
  const parameters = new Map<string, Parameter>();
  for (const [name, shape] of loraShapes(config, settings)) {
    const found = weights.get(PEFT_PREFIX + name);
    if (found?.shape.join() !== shape.join()) {
      const what = found ? `has shape [${found.shape.join(", ")}]` : "is missing";
      throw new UserError(
        `${folder}: ${name} ${what}, this model and rank ${rank} need [${shape.join(", ")}]: was the adapter made for another model?`,
      );
    }
    parameters.set(name, parameter(found.data, shape));
  }
  return { ...settings, parameters };
}

function* loraShapes(
  config: ModelConfig,
  settings: LoraSettings,
): Generator<readonly [string, readonly [number, number]]> {
  for (let layer = 0; layer < config.layers; layer++) {
    for (const target of Object.keys(PROJECTIONS) as Projection[]) {
      if (!settings.targetModules.includes(target)) continue;
      const [out, input] = projectionShape(config, target);
      yield [`${projectionName(layer, target)}.lora_A.weight`, [settings.rank, input]];
      yield [`${projectionName(layer, target)}.lora_B.weight`, [out, settings.rank]];
    }
  }
}

function projection(name: string, folder: string): Projection {
  if (Object.hasOwn(PROJECTIONS, name)) return name as Projection;
  throw new UserError(`${folder} adapts ${name}; klamp adapts ${Object.keys(PROJECTIONS).join(", ")}`);
}

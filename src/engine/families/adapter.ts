import { createRandom } from "../../common/random.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { LoraSettings } from "../../model/lora.ts";
import { familyOf } from "./index.ts";
import { loraShapes, toLora } from "./lora.ts";
import type { ModelConfig } from "./model-config.ts";

/** LoRA's settings and its matrices by their names in PEFT's layout, A [rank, in] and B [out, rank]. */
export interface Adapter extends LoraSettings {
  readonly matrices: ReadonlyMap<string, Tensor>;
}

/** Names and shapes of all matrices of an adapter. */
export function matrixShapes(config: ModelConfig, settings: LoraSettings): ReadonlyMap<string, readonly number[]> {
  return loraShapes(familyOf(config).weights(config), toLora(config, settings));
}

/** A fresh adapter as PEFT starts one: A uniform in ±1/√in, B zero, so that the model starts as its base. */
export function newAdapter(config: ModelConfig, settings: LoraSettings, seed: number): Adapter {
  const random = createRandom(seed);
  const matrices = new Map<string, Tensor>();
  for (const [name, shape] of matrixShapes(config, settings)) {
    const bound = name.includes(".lora_A.") ? 1 / Math.sqrt(shape[1]!) : 0;
    const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => (random() * 2 - 1) * bound);
    matrices.set(name, { data, shape });
  }
  return { ...settings, matrices };
}

/** Whether both mean the same graph and the same factors. */
export function sameSettings(config: ModelConfig, one: LoraSettings, other: LoraSettings): boolean {
  const key = (settings: LoraSettings) => JSON.stringify([...toLora(config, settings)]);
  return key(one) === key(other);
}

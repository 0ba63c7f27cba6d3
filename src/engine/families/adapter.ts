import { UserError } from "../../common/errors.ts";
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
  const shapes = matrixShapes(config, settings);
  refuseRank(shapes);
  const random = createRandom(seed);
  const matrices = new Map<string, Tensor>();
  for (const [name, shape] of shapes) {
    const bound = name.includes(".lora_A.") ? 1 / Math.sqrt(shape[1]!) : 0;
    const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => (random() * 2 - 1) * bound);
    matrices.set(name, { data, shape });
  }
  return { ...settings, matrices };
}

/** @throws UserError for a rank above what B·A can have beside any of the weights: the smaller side of the largest. */
function refuseRank(shapes: ReadonlyMap<string, readonly number[]>): void {
  const pairs = [...shapes.values()];
  let [rank, most] = [0, 0];
  for (let i = 0; i < pairs.length; i += 2) {
    const [a, b] = [pairs[i]!, pairs[i + 1]!];
    rank = Math.max(rank, a[0]!);
    most = Math.max(most, Math.min(a[1]!, b[0]!));
  }
  if (rank <= most) return;
  throw new UserError(
    `LoRA's rank is ${rank}, expected a whole number from 1 to ${most}, the smaller side of the model's largest matrix: no update has a higher one.`,
  );
}

/** Whether both mean the same graph and the same factors. */
export function sameSettings(config: ModelConfig, one: LoraSettings, other: LoraSettings): boolean {
  const key = (settings: LoraSettings) => JSON.stringify([...toLora(config, settings)]);
  return key(one) === key(other);
}

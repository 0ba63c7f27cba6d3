import { type LoraSettings, PROJECTIONS, type Projection, projectionName } from "../../model/lora.ts";
import type { ModelConfig } from "./model-config.ts";

/** LoRA as a graph has it: which projections carry a pair of matrices, of what rank, and the factor on B·A. */
export interface Lora {
  readonly rank: number;
  readonly scale: number;
  readonly modules: readonly Projection[];
}

/** The factor on B·A is alpha / rank, or alpha / √rank with rslora. */
export function toLora({ rank, alpha, target_modules, use_rslora }: LoraSettings): Lora {
  return { rank, scale: alpha / (use_rslora ? Math.sqrt(rank) : rank), modules: target_modules };
}

/** PEFT's names of the two LoRA matrices beside a linear map. */
export function loraNames(module: string): { a: string; b: string } {
  return { a: `base_model.model.${module}.lora_A.weight`, b: `base_model.model.${module}.lora_B.weight` };
}

/** Names and shapes of the LoRA matrices beside weights of these shapes: A [rank, in], B [out, rank], in the decoder's order. */
export function loraShapes(
  { layers }: ModelConfig,
  weights: ReadonlyMap<string, readonly number[]>,
  { rank, modules }: Lora,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (let layer = 0; layer < layers; layer++) {
    for (const projection of PROJECTIONS.filter((each) => modules.includes(each))) {
      const module = projectionName(layer, projection);
      const [out, width] = weights.get(`${module}.weight`) as readonly [number, number];
      const { a, b } = loraNames(module);
      shapes.set(a, [rank, width]).set(b, [out, rank]);
    }
  }
  return shapes;
}

import { UserError } from "../../common/errors.ts";
import { type LoraSettings, PROJECTIONS, projectionName } from "../../model/lora.ts";
import { matchesModule, patternValue } from "./lora-modules.ts";
import type { ModelConfig } from "./model-config.ts";

/** LoRA as a graph has it: which linear maps carry a pair of matrices, by name, of what rank, and the factor on B·A. */
export type Lora = ReadonlyMap<string, { readonly rank: number; readonly scale: number }>;

/**
 * The linear maps that settings give a pair, in the decoder's order. The factor on B·A is alpha / rank, or alpha / √rank with
 * rslora.
 *
 * @throws UserError when the settings match no linear map of the model.
 */
export function toLora({ layers }: Pick<ModelConfig, "layers">, settings: LoraSettings): Lora {
  const { rank_pattern = {}, alpha_pattern = {}, use_rslora } = settings;
  const lora = new Map<string, { rank: number; scale: number }>();
  for (let layer = 0; layer < layers; layer++) {
    for (const projection of PROJECTIONS) {
      const module = projectionName(layer, projection);
      if (!matchesModule(module, settings)) continue;
      const rank = patternValue(rank_pattern, module) ?? settings.rank;
      const alpha = patternValue(alpha_pattern, module) ?? settings.alpha;
      lora.set(module, { rank, scale: alpha / (use_rslora ? Math.sqrt(rank) : rank) });
    }
  }
  if (lora.size > 0) return lora;
  throw new UserError(
    `LoRA's target_modules ${JSON.stringify(settings.target_modules)} match no linear map of this model, whose layers have ${PROJECTIONS.join(", ")}.`,
  );
}

/** PEFT's names of the two LoRA matrices beside a linear map. */
export function loraNames(module: string): { a: string; b: string } {
  return { a: `base_model.model.${module}.lora_A.weight`, b: `base_model.model.${module}.lora_B.weight` };
}

/** Names and shapes of the LoRA matrices beside weights of these shapes: A [rank, in], B [out, rank], in the decoder's order. */
export function loraShapes(
  weights: ReadonlyMap<string, readonly number[]>,
  lora: Lora,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const [module, { rank }] of lora) {
    const [out, width] = weights.get(`${module}.weight`) as readonly [number, number];
    const { a, b } = loraNames(module);
    shapes.set(a, [rank, width]).set(b, [out, rank]);
  }
  return shapes;
}

import {
  ATTENTION_PROJECTIONS,
  MLP_PROJECTIONS,
  PROJECTIONS,
  type Projection,
  projectionName,
} from "../../model/lora.ts";
import type { Family } from "./family.ts";
import { attention, mlp, norm, projectionShape } from "./layers.ts";
import type { ModelConfig } from "./model-config.ts";
import type { RawConfig } from "./raw-config.ts";
import { wayOf } from "./ways.ts";

/** @file The decoder that most families share: two RMS norms a layer, each before its block, and a SwiGLU MLP. */

/** Names and shapes of a block's projections, with the biases that the model has. */
export function projectionWeights(
  config: ModelConfig,
  layer: number,
  projections: readonly Projection[],
): [string, readonly number[]][] {
  return projections.flatMap((projection) => {
    const name = projectionName(layer, projection);
    const shape = projectionShape(config, projection);
    const weight: [string, readonly number[]] = [`${name}.weight`, shape];
    return config.biases?.includes(projection) ? [weight, [`${name}.bias`, [shape[0]]]] : [weight];
  });
}

/** Names and shapes of the norms on the heads of queries and keys, if the model has them. */
export function headNormWeights({ headNorms, headDim }: ModelConfig, layer: number): [string, readonly number[]][] {
  if (!headNorms) return [];
  return ["q_norm", "k_norm"].map((name) => [`model.layers.${layer}.self_attn.${name}.weight`, [headDim]]);
}

/** The projections that `attention_bias` and `mlp_bias` give a bias to. */
export function readBiases(raw: RawConfig): Pick<ModelConfig, "biases"> {
  const biases = PROJECTIONS.filter((name) =>
    raw.flag(ATTENTION_PROJECTIONS.includes(name) ? "attention_bias" : "mlp_bias", false),
  );
  return biases.length > 0 ? { biases } : {};
}

export const preNorm: Pick<Family, "weights" | "hidden"> = {
  weights(config) {
    const shapes = new Map<string, readonly number[]>();
    for (let layer = 0; layer < config.layers; layer++) {
      const name = `model.layers.${layer}`;
      for (const [key, shape] of [
        [`${name}.input_layernorm.weight`, [config.hiddenSize]] as const,
        ...projectionWeights(config, layer, ATTENTION_PROJECTIONS),
        ...headNormWeights(config, layer),
        [`${name}.post_attention_layernorm.weight`, [config.hiddenSize]] as const,
        ...projectionWeights(config, layer, MLP_PROJECTIONS),
      ]) {
        shapes.set(key, shape);
      }
    }
    return shapes.set("model.norm.weight", [config.hiddenSize]);
  },

  hidden(config, inputs) {
    let x = inputs.embeddings;
    for (let layer = 0; layer < config.layers; layer++) {
      const name = `model.layers.${layer}`;
      const way = wayOf(config, layer);
      x = attention(inputs, norm(inputs, x, `${name}.input_layernorm`), layer, way, { residual: x });
      x = mlp(inputs, norm(inputs, x, `${name}.post_attention_layernorm`), layer, { residual: x });
    }
    return norm(inputs, x, "model.norm");
  },
};

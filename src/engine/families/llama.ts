import { ATTENTION_PROJECTIONS, MLP_PROJECTIONS, projectionName } from "../../model/lora.ts";
import type { Family } from "./family.ts";
import { attention, mlp, norm, projectionShape } from "./layers.ts";

/**
 * Llama 2 and 3, and what shares their decoder: two RMS norms a layer, grouped-query attention, a SwiGLU MLP.
 *
 * @see Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models
 */
export const llama: Family = {
  architectures: ["LlamaForCausalLM"],

  config(raw) {
    const { attention_bias, mlp_bias, hidden_act = "silu" } = raw.values;
    if (attention_bias) raw.refuse("attention_bias");
    if (mlp_bias) raw.refuse("mlp_bias");
    if (hidden_act !== "silu") raw.refuse(`hidden_act ${JSON.stringify(hidden_act)}`);
    const ropeType = raw.rope.rope_type ?? raw.rope.type ?? "default";
    if (ropeType !== "default") raw.refuse(`rope_type ${JSON.stringify(ropeType)}`);
    return raw.shape();
  },

  weights(config) {
    const shapes = new Map<string, readonly number[]>();
    for (let layer = 0; layer < config.layers; layer++) {
      for (const [before, projections] of [
        ["input_layernorm", ATTENTION_PROJECTIONS],
        ["post_attention_layernorm", MLP_PROJECTIONS],
      ] as const) {
        shapes.set(`model.layers.${layer}.${before}.weight`, [config.hiddenSize]);
        for (const each of projections)
          shapes.set(`${projectionName(layer, each)}.weight`, projectionShape(config, each));
      }
    }
    return shapes.set("model.norm.weight", [config.hiddenSize]);
  },

  attention: ({ ropeTheta }) => [{ name: "", window: null, ropeTheta }],

  hidden(config, inputs) {
    const way = inputs.ways[0]!;
    let x = inputs.embeddings;
    for (let layer = 0; layer < config.layers; layer++) {
      const name = `model.layers.${layer}`;
      x = attention(inputs, norm(inputs, x, `${name}.input_layernorm`), layer, way, { residual: x });
      x = mlp(inputs, norm(inputs, x, `${name}.post_attention_layernorm`), layer, { residual: x });
    }
    return norm(inputs, x, "model.norm");
  },
};

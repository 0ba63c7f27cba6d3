import { ATTENTION_PROJECTIONS, MLP_PROJECTIONS } from "../../model/lora.ts";
import { add, geluTanh, scale } from "../graph/operators.ts";
import type { Family } from "./family.ts";
import { attention, mlp, norm } from "./layers.ts";
import { readShape } from "./model-config.ts";
import { headNormWeights, projectionWeights, readBiases } from "./pre-norm.ts";
import { readRope, THETAS } from "./rotary.ts";
import { layerWays, wayOf } from "./ways.ts";

const THETA = 1_000_000;

/**
 * Gemma 3, text: scaled embeddings, a norm before and after each block, norms on heads, gains of 1 + w, a gated GELU, and
 * layers that see a window, with wavelengths of their own, between layers that see all.
 *
 * @see Gemma Team 2025, Gemma 3 Technical Report
 */
export const gemma3: Family = {
  architectures: ["Gemma3ForCausalLM"],

  config(raw) {
    raw.activation("hidden_activation", "gelu_pytorch_tanh");
    for (const key of ["attn_logit_softcapping", "final_logit_softcapping", "use_bidirectional_attention"]) {
      if (raw.values[key]) raw.refuse(key);
    }
    const shape = readShape(raw, { kvHeads: 4, headDim: 256, ropeTheta: THETA, maxPositions: 131_072, tied: true });
    const pattern = raw.count("sliding_window_pattern", 6);
    const types = raw.perLayer("layer_types", (layer) =>
      (layer + 1) % pattern === 0 ? "full_attention" : "sliding_attention",
    );
    const full = { window: null, rope: readRope(raw, THETA, "full_attention") };
    const sliding = {
      window: raw.count("sliding_window", 4096),
      rope: raw.part("rope_parameters")?.part("sliding_attention")
        ? readRope(raw, 10_000, "sliding_attention")
        : { theta: raw.number("rope_local_base_freq", 10_000, THETAS) },
    };
    return {
      ...shape,
      ropeTheta: full.rope.theta,
      ...layerWays(
        types.map((type) => (type === "sliding_attention" ? sliding : full)),
        full.rope.theta,
      ),
      ...readBiases(raw),
      headNorms: true,
      scoreScale: raw.number("query_pre_attn_scalar", 256) ** -0.5,
      gainOffset: 1,
    };
  },

  weights(config) {
    const shapes = new Map<string, readonly number[]>();
    for (let layer = 0; layer < config.layers; layer++) {
      const name = `model.layers.${layer}`;
      const normOf = (block: string): [string, readonly number[]] => [`${name}.${block}.weight`, [config.hiddenSize]];
      for (const [key, shape] of [
        normOf("input_layernorm"),
        ...projectionWeights(config, layer, ATTENTION_PROJECTIONS),
        ...headNormWeights(config, layer),
        normOf("post_attention_layernorm"),
        normOf("pre_feedforward_layernorm"),
        ...projectionWeights(config, layer, MLP_PROJECTIONS),
        normOf("post_feedforward_layernorm"),
      ]) {
        shapes.set(key, shape);
      }
    }
    return shapes.set("model.norm.weight", [config.hiddenSize]);
  },

  hidden(config, inputs) {
    let x = scale(inputs.embeddings, Math.fround(Math.sqrt(config.hiddenSize)));
    for (let layer = 0; layer < config.layers; layer++) {
      const named = (block: string) => `model.layers.${layer}.${block}`;
      const mixed = attention(inputs, norm(inputs, x, named("input_layernorm")), layer, wayOf(config, layer));
      x = add(x, norm(inputs, mixed, named("post_attention_layernorm")));
      const before = norm(inputs, x, named("pre_feedforward_layernorm"));
      const inner = mlp(inputs, before, layer, { activation: geluTanh });
      x = add(x, norm(inputs, inner, named("post_feedforward_layernorm")));
    }
    return norm(inputs, x, "model.norm");
  },
};

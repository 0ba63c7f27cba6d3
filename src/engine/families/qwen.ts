import type { Family } from "./family.ts";
import { type ConfigDefaults, type ModelConfig, readShape } from "./model-config.ts";
import { preNorm, readBiases } from "./pre-norm.ts";
import type { RawConfig } from "./raw-config.ts";
import { readRope } from "./rotary.ts";
import { layerWays } from "./ways.ts";

/**
 * Qwen2 and Qwen2.5: Llama's decoder with biases on queries, keys and values.
 *
 * @see Yang et al. 2024, Qwen2 Technical Report
 */
export const qwen2: Family = {
  ...preNorm,
  architectures: ["Qwen2ForCausalLM"],
  config: (raw) => ({ ...common(raw, {}), biases: ["q_proj", "k_proj", "v_proj"] }),
};

/**
 * Qwen3: norms on the heads of queries and keys in place of the biases, and heads of a size of their own.
 *
 * @see Yang et al. 2025, Qwen3 Technical Report
 */
export const qwen3: Family = {
  ...preNorm,
  architectures: ["Qwen3ForCausalLM"],
  config: (raw) => ({ ...common(raw, { headDim: 128 }), headNorms: true, ...readBiases(raw) }),
};

/** With `use_sliding_window` the layers from `max_window_layers` on see a window, or those that `layer_types` names. */
function common(raw: RawConfig, defaults: Partial<ConfigDefaults>): ModelConfig {
  raw.activation("hidden_act", "silu");
  const shape = readShape(raw, { kvHeads: 32, ropeTheta: 10_000, maxPositions: 32_768, tied: false, ...defaults });
  const rope = readRope(raw, 10_000);
  const windowed = raw.flag("use_sliding_window", false) && raw.values.sliding_window !== null;
  const from = raw.number("max_window_layers", 28);
  const types = raw.perLayer("layer_types", (layer) =>
    windowed && layer >= from ? "sliding_attention" : "full_attention",
  );
  const window = windowed ? raw.count("sliding_window", 4096) : null;
  const layers = types.map((type) => ({ window: type === "sliding_attention" ? window : null, rope }));
  return { ...shape, ...layerWays(layers, rope.theta) };
}

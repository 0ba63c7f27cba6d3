import { UserError } from "../../common/errors.ts";
import type { Family } from "./family.ts";
import { readShape } from "./model-config.ts";
import { preNorm, readBiases } from "./pre-norm.ts";
import { shown } from "./raw-config.ts";
import { readRope } from "./rotary.ts";
import { layerWays } from "./ways.ts";

/**
 * SmolLM3: Llama's decoder, in which every fourth layer has no rotary embedding.
 *
 * @see Yang et al. 2025, RoPE to NoPE and Back Again
 */
export const smolLM3: Family = {
  ...preNorm,
  architectures: ["SmolLM3ForCausalLM"],

  config(raw) {
    raw.activation("hidden_act", "silu");
    const shape = readShape(raw, { kvHeads: 4, ropeTheta: 2_000_000, maxPositions: 32_768, tied: true });
    const rope = readRope(raw, 2_000_000);
    const every = raw.count("no_rope_layer_interval", 4);
    const turned =
      raw.values.no_rope_layers ?? Array.from(Array(shape.layers), (_, i) => Number((i + 1) % every !== 0));
    if (!Array.isArray(turned) || turned.length !== shape.layers) {
      throw new UserError(
        `${raw.path} has ${shown(turned)} for no_rope_layers; 1 or 0 for each of ${shape.layers} layers is expected.`,
      );
    }
    const window = raw.flag("use_sliding_window", false) ? raw.count("sliding_window") : null;
    const types = raw.perLayer("layer_types", (i) => (window && !turned[i] ? "sliding_attention" : "full_attention"));
    const layers = types.map((type, i) => ({
      window: type === "sliding_attention" ? window : null,
      rope: turned[i] ? rope : null,
    }));
    return { ...shape, ...layerWays(layers, rope.theta), ...readBiases(raw) };
  },
};

import type { Family } from "./family.ts";
import { readShape } from "./model-config.ts";
import { preNorm, readBiases } from "./pre-norm.ts";
import { readRope } from "./rotary.ts";
import { layerWays } from "./ways.ts";

/**
 * Llama 2 and 3, and what shares their decoder (SmolLM2 among them).
 *
 * @see Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models
 */
export const llama: Family = {
  ...preNorm,
  architectures: ["LlamaForCausalLM"],

  config(raw) {
    raw.activation("hidden_act", "silu");
    const shape = readShape(raw, { ropeTheta: 10_000, maxPositions: 2048, tied: false });
    const rope = readRope(raw, 10_000);
    return { ...shape, ...layerWays(Array(shape.layers).fill({ window: null, rope }), rope.theta), ...readBiases(raw) };
  },
};

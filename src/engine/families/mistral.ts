import type { Family } from "./family.ts";
import { readShape } from "./model-config.ts";
import { preNorm } from "./pre-norm.ts";
import { readRope } from "./rotary.ts";
import { layerWays } from "./ways.ts";

/**
 * Mistral: Llama's decoder, whose layers see a window of tokens where `sliding_window` is set.
 *
 * @see Jiang et al. 2023, Mistral 7B
 */
export const mistral: Family = {
  ...preNorm,
  architectures: ["MistralForCausalLM"],

  config(raw) {
    raw.activation("hidden_act", "silu");
    const shape = readShape(raw, { kvHeads: 8, ropeTheta: 10_000, maxPositions: 131_072, tied: false });
    const rope = readRope(raw, 10_000);
    const window = raw.values.sliding_window === null ? null : raw.count("sliding_window", 4096);
    return { ...shape, ...layerWays(Array(shape.layers).fill({ window, rope }), rope.theta) };
  },
};

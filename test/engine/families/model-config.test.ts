import { describe, expect, it } from "vitest";
import { parseModelConfig } from "../../../src/engine/families/index.ts";
import { complaint } from "../../data/folders.ts";
import { configJson, TINY } from "../local/models.ts";

const parse = (changes: Record<string, unknown>) => parseModelConfig(configJson(TINY, changes), "config.json");

describe("config.json", () => {
  it("gives the shape of the decoder", () => {
    expect(parse({})).toEqual(TINY);
  });

  it("may leave out what has a default in the field", () => {
    const { num_key_value_heads, head_dim, rope_theta, rms_norm_eps, max_position_embeddings, ...raw } =
      configJson(TINY);
    expect([num_key_value_heads, head_dim]).toEqual([2, 4]);
    const { tie_word_embeddings, ...bare } = raw;
    expect([rope_theta, rms_norm_eps, max_position_embeddings, tie_word_embeddings]).toEqual([100, 1e-5, 32, false]);
    expect(parseModelConfig(bare, "config.json")).toEqual({
      ...TINY,
      kvHeads: 4,
      headDim: 2,
      ropeTheta: 10_000,
      normEpsilon: 1e-6,
      maxPositions: 2048,
    });
  });

  it.each([
    ["at the top, as older folders have it", { rope_theta: 5e5 }],
    ["at the top beside an empty rope_scaling", { rope_theta: 5e5, rope_scaling: null }],
    ["in rope_parameters", { rope_theta: undefined, rope_parameters: { rope_theta: 5e5, rope_type: "default" } }],
    ["in both, where the newer one counts", { rope_parameters: { rope_theta: 5e5 } }],
  ])("has rope_theta %s", (_, changes) => {
    expect(parse(changes).ropeTheta).toBe(5e5);
  });

  it.each([
    [{ architectures: ["MixtralForCausalLM"] }, "names the architecture MixtralForCausalLM"],
    [{ architectures: undefined, model_type: "gpt2" }, "names the architecture gpt2"],
    [{ architectures: [] }, "names the architecture none"],
  ])("of another architecture is refused, and the supported ones are named: %j", async (changes, expected) => {
    expect(await complaint(() => parse(changes))).toBe(
      `config.json ${expected}; klamp's local engine supports LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, SmolLM3ForCausalLM, Gemma3ForCausalLM.`,
    );
  });

  it.each([
    [{ hidden_act: "gelu" }, 'hidden_act "gelu"'],
    [{ rope_scaling: { rope_type: "dynamic", factor: 8 } }, 'rope_type "dynamic"'],
    [{ rope_parameters: { rope_type: "longrope", rope_theta: 1e4 } }, 'rope_type "longrope"'],
    [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor 0.5"],
    [{ quantization_config: { quant_method: "bitsandbytes" } }, "weights quantized with bitsandbytes"],
  ])("with a variant that would silently be another model is refused: %j", async (changes, expected) => {
    expect(await complaint(() => parse(changes))).toBe(
      `config.json asks for ${expected}, which klamp's local engine does not support yet; use a checkpoint without it.`,
    );
  });

  it.each([
    [{ hidden_size: undefined }, "config.json has nothing for hidden_size; a positive number is expected."],
    [{ vocab_size: "320" }, 'config.json has "320" for vocab_size; a positive number is expected.'],
    [{ num_hidden_layers: 0 }, "config.json has 0 for num_hidden_layers; a positive number is expected."],
    [
      { num_key_value_heads: 3 },
      "config.json has 4 heads, 3 key/value heads and head size 4; heads must be a multiple",
    ],
    [{ head_dim: 3 }, "config.json has 4 heads, 2 key/value heads and head size 3; heads must be a multiple"],
  ])("with sizes that make no decoder is refused: %j", async (changes, expected) => {
    expect(await complaint(() => parse(changes))).toContain(expected);
  });
});

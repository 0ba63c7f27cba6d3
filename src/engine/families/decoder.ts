import type { Value } from "../graph/value.ts";
import { DecoderInputs } from "./decoder-inputs.ts";
import type { Family } from "./family.ts";
import { familyOf } from "./index.ts";
import type { Lora } from "./lora.ts";
import type { ModelConfig } from "./model-config.ts";

/** A decoder's graph: embeddings in, final hidden states out; the head is applied outside, in chunks of positions. */
export interface Decoder extends Pick<DecoderInputs, "embeddings" | "weights" | "adapter" | "present"> {
  /** [tokens, hidden] */
  readonly hidden: Value;
}

/** Dimensions of the decoder's inputs that are fed; all others follow from them. */
export const DECODER_DIMENSIONS = ["batch", "length"];

/**
 * The graph of a model's decoder from embeddings to the normalised last hidden states.
 *
 * @param lora null: the base model alone.
 * @param cached takes keys and values of earlier tokens as inputs `past.*` and hands out the extended ones, `present.*`,
 * for sampling; the mask is then given per sequence.
 * @see Hu et al. 2021, LoRA
 */
export function buildDecoder(
  config: ModelConfig,
  lora: Lora | null,
  cached = false,
  family: Family = familyOf(config),
): Decoder {
  const declared = { weights: family.weights(config), ways: family.attention(config) };
  const inputs = new DecoderInputs(config, declared, lora, cached);
  const hidden = family.hidden(config, inputs);
  const { embeddings, weights, adapter, present } = inputs;
  return { embeddings, hidden, weights, adapter, present };
}

import type { Value } from "../graph/value.ts";
import { DecoderInputs, type DecoderOptions } from "./decoder-inputs.ts";
import type { Family } from "./family.ts";
import { familyOf } from "./index.ts";
import type { Lora } from "./lora.ts";
import type { ModelConfig } from "./model-config.ts";

/** A decoder's graph: embeddings in, final hidden states out; the head is applied outside, in chunks of positions. */
export interface Decoder extends Pick<DecoderInputs, "embeddings" | "weights" | "adapter" | "now" | "dropout"> {
  /** [tokens, hidden] */
  readonly hidden: Value;
}

/** Dimensions of the decoder's inputs that are fed; all others follow from them. */
export const DECODER_DIMENSIONS = ["batch", "length"];

/**
 * The graph of a model's decoder from embeddings to the normalised last hidden states.
 *
 * @param lora null: the base model alone.
 * @param options.cached takes keys and values of earlier tokens as inputs `past.*` and hands out those of the new ones,
 * `now.*`, for sampling; the mask is then given per sequence.
 * @param options.drops takes a mask for what reaches each A, as inputs `dropout.*`, for training.
 * @see Hu et al. 2021, LoRA
 */
export function buildDecoder(
  config: ModelConfig,
  lora: Lora | null,
  options: DecoderOptions & { readonly family?: Family } = {},
): Decoder {
  const { family = familyOf(config) } = options;
  const inputs = new DecoderInputs(config, family.weights(config), lora, options);
  const hidden = family.hidden(config, inputs);
  const { embeddings, weights, adapter, now, dropout } = inputs;
  return { embeddings, hidden, weights, adapter, now, dropout };
}

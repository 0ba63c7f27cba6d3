import { familyOf } from "./index.ts";
import type { ModelConfig } from "./model-config.ts";

/** The embedding matrix and the output head, as checkpoints of all families name them. */
export const EMBEDDINGS = "model.embed_tokens.weight";
export const HEAD = "lm_head.weight";

/** Names and shapes of all weights that a model of this shape has. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const matrix = [config.vocabSize, config.hiddenSize];
  const shapes = new Map<string, readonly number[]>([[EMBEDDINGS, matrix], ...familyOf(config).weights(config)]);
  return config.tied ? shapes : shapes.set(HEAD, matrix);
}

import type { Value } from "../graph/value.ts";
import type { DecoderInputs } from "./decoder-inputs.ts";
import type { ModelConfig } from "./model-config.ts";
import type { RawConfig } from "./raw-config.ts";

/**
 * A model family: how its `config.json` is read, which weights it has, and its graph. A further one is a file with one of
 * these and a line in `index.ts`.
 */
export interface Family {
  /** The names by which `architectures` in config.json calls it. */
  readonly architectures: readonly string[];
  /** @throws UserError for a variant that the graph does not compute. */
  config(raw: RawConfig): ModelConfig;
  /** Names and shapes of the decoder's weights in the checkpoint, from after the embeddings to before the head. */
  weights(config: ModelConfig): ReadonlyMap<string, readonly number[]>;
  /** The graph from embeddings to the last hidden states, normalised: [tokens, hidden]. */
  hidden(config: ModelConfig, inputs: DecoderInputs): Value;
}

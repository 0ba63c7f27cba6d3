import type { Value } from "../graph/value.ts";
import type { Attention } from "./attention.ts";
import type { DecoderInputs } from "./decoder-inputs.ts";
import type { ModelConfig, RawConfig } from "./model-config.ts";

/**
 * A model family: how its `config.json` is read, which weights it has, and its graph. A further one is a file with one of
 * these and a line in `index.ts`.
 */
export interface Family<Config extends ModelConfig = ModelConfig> {
  /** The names by which `architectures` in config.json calls it. */
  readonly architectures: readonly string[];
  /** @throws UserError for a variant that the graph does not compute. */
  config(raw: RawConfig): Config;
  /** Names and shapes of the decoder's weights in the checkpoint, from after the embeddings to before the head. */
  weights(config: Config): ReadonlyMap<string, readonly number[]>;
  /** The ways in which its layers attend. */
  attention(config: Config): readonly Attention[];
  /** The graph from embeddings to the last hidden states, normalised: [tokens, hidden]. */
  hidden(config: Config, inputs: DecoderInputs): Value;
}

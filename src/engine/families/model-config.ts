import { UserError } from "../../common/errors.ts";
import type { Projection } from "../../model/lora.ts";
import type { Attention } from "./attention.ts";
import { MOST_LAYERS, type RawConfig } from "./raw-config.ts";
import { readRope } from "./rotary.ts";

/** The shape of a decoder, as a Hugging Face `config.json` gives it. */
export interface ModelConfig {
  /** V. */
  readonly vocabSize: number;
  /** d, the numbers in a hidden state. */
  readonly hiddenSize: number;
  /** Of the MLP between its projections. */
  readonly intermediateSize: number;
  readonly layers: number;
  /** Query heads, and the key heads that they share: `heads` is a multiple of `kvHeads`. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** The base of the rotary embedding's wavelengths. */
  readonly ropeTheta: number;
  /** ε of the RMS norms. */
  readonly normEpsilon: number;
  /** The most tokens that the model reads. */
  readonly maxPositions: number;
  /** The output head is the embedding matrix. */
  readonly tied: boolean;
  /** The first of `architectures` in config.json: it tells the family. */
  readonly architecture: string;
  // What follows is absent in most models, where a family does without it.
  /** Ways to attend, and which of them each layer has. Absent: to all that is before, under `ropeTheta`. */
  readonly attention?: { readonly ways: readonly Attention[]; readonly layers: readonly number[] };
  /** Projections that have a bias. */
  readonly biases?: readonly Projection[];
  /** Queries and keys are normalised, head by head. */
  readonly headNorms?: true;
  /** On the scores of attention. Absent: 1/√headDim. */
  readonly scoreScale?: number;
  /** Added to the gains of norms as the checkpoint has them. */
  readonly gainOffset?: number;
}

/** What a family assumes where config.json is silent. */
export interface ConfigDefaults {
  /** Default: as many as heads. */
  readonly kvHeads?: number;
  /** Default: hidden size / heads. */
  readonly headDim?: number;
  readonly ropeTheta: number;
  readonly maxPositions: number;
  readonly tied: boolean;
}

/** More numbers in a head than any model has make tables of rotations that no memory holds. */
const HEAD_DIMS = [1, 65_536] as const;
/** Below, a row of zeros is divided by 0 in float32; above, the norm is no norm. */
const EPSILONS = [1e-30, 1] as const;

/** About how many numbers the weights of such a model are: its matrices'. */
export function countWeights(config: ModelConfig): number {
  const { vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, headDim, tied } = config;
  const layer = hiddenSize * (2 * headDim * (heads + kvHeads) + 3 * intermediateSize);
  return layers * layer + vocabSize * hiddenSize * (tied ? 1 : 2);
}

/** What every family has. @throws UserError for sizes that make no decoder. */
export function readShape(raw: RawConfig, defaults: ConfigDefaults): ModelConfig {
  const heads = raw.count("num_attention_heads");
  const kvHeads = raw.count("num_key_value_heads", defaults.kvHeads ?? heads);
  const hiddenSize = raw.count("hidden_size");
  const headDim = raw.number("head_dim", defaults.headDim ?? hiddenSize / heads, HEAD_DIMS);
  if (heads % kvHeads !== 0 || headDim % 2 !== 0) {
    throw new UserError(
      `${raw.path} has ${heads} heads, ${kvHeads} key/value heads and head size ${headDim}; heads must be a multiple of key/value heads and the head size even.`,
    );
  }
  return {
    vocabSize: raw.count("vocab_size"),
    hiddenSize,
    intermediateSize: raw.count("intermediate_size"),
    layers: raw.count("num_hidden_layers", undefined, MOST_LAYERS),
    heads,
    kvHeads,
    headDim,
    ropeTheta: readRope(raw, defaults.ropeTheta).theta,
    normEpsilon: raw.number("rms_norm_eps", 1e-6, EPSILONS),
    maxPositions: raw.count("max_position_embeddings", defaults.maxPositions),
    tied: raw.flag("tie_word_embeddings", defaults.tied),
    architecture: raw.architecture,
  };
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../common/errors.ts";

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
}

const ARCHITECTURES = ["LlamaForCausalLM"];

/**
 * Reads and checks `config.json` of a model folder.
 *
 * @throws UserError for a missing or malformed file, an unsupported architecture or an unsupported variant of it.
 */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const path = join(folder, "config.json");
  let raw: Record<string, unknown>;
  try {
    raw = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? `is not JSON (${error.message})` : "cannot be read";
    throw new UserError(
      `${path} ${why}; a model is a Hugging Face folder with config.json, model.safetensors and tokenizer.json.`,
    );
  }
  if (typeof raw !== "object" || raw === null) throw new UserError(`${path} holds no JSON object, expected one.`);
  return parseModelConfig(raw, path);
}

/** As `readModelConfig`, for the parsed contents of `path`. */
export function parseModelConfig(raw: Record<string, unknown>, path: string): ModelConfig {
  const architecture = (raw.architectures as unknown[] | undefined)?.[0] ?? raw.model_type ?? "none";
  if (!ARCHITECTURES.includes(String(architecture))) {
    throw new UserError(
      `${path} names the architecture ${architecture}; klamp's local engine supports ${ARCHITECTURES.join(", ")}.`,
    );
  }
  const refuse = (what: string) => {
    throw new UserError(
      `${path} asks for ${what}, which klamp's local engine does not support yet; use a plain Llama checkpoint.`,
    );
  };
  if (raw.attention_bias) refuse("attention_bias");
  if (raw.mlp_bias) refuse("mlp_bias");
  if (raw.hidden_act !== undefined && raw.hidden_act !== "silu") refuse(`hidden_act ${JSON.stringify(raw.hidden_act)}`);
  const rope = (raw.rope_parameters ?? raw.rope_scaling ?? {}) as Record<string, unknown>;
  const ropeType = rope.rope_type ?? rope.type ?? "default";
  if (ropeType !== "default") refuse(`rope_type ${JSON.stringify(ropeType)}`);

  const number = (key: string, fallback?: number) => {
    const value = raw[key] ?? fallback;
    if (typeof value !== "number" || !(value > 0)) {
      throw new UserError(`${path} has ${JSON.stringify(raw[key])} for ${key}; a positive number is expected.`);
    }
    return value;
  };
  const heads = number("num_attention_heads");
  const kvHeads = number("num_key_value_heads", heads);
  const hiddenSize = number("hidden_size");
  const headDim = number("head_dim", hiddenSize / heads);
  if (heads % kvHeads !== 0 || headDim % 2 !== 0) {
    throw new UserError(
      `${path} has ${heads} heads, ${kvHeads} key/value heads and head size ${headDim}; heads must be a multiple of key/value heads and the head size even.`,
    );
  }
  return {
    vocabSize: number("vocab_size"),
    hiddenSize,
    intermediateSize: number("intermediate_size"),
    layers: number("num_hidden_layers"),
    heads,
    kvHeads,
    headDim,
    ropeTheta: typeof rope.rope_theta === "number" ? rope.rope_theta : number("rope_theta", 10_000),
    normEpsilon: number("rms_norm_eps", 1e-6),
    maxPositions: number("max_position_embeddings", 2048),
    tied: raw.tie_word_embeddings === true,
  };
}

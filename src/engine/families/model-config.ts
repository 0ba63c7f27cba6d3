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
  /** The first of `architectures` in config.json: it tells the family. */
  readonly architecture: string;
}

/** The parsed contents of a `config.json`, read key by key. */
export class RawConfig {
  /** For messages. */
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>, path: string) {
    this.values = values;
    this.path = path;
  }

  get architecture(): string {
    return String((this.values.architectures as unknown[] | undefined)?.[0] ?? this.values.model_type ?? "none");
  }

  /** A number above 0. @throws UserError for anything else, and for none without a default. */
  number(key: string, fallback?: number): number {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "number" || !(value > 0)) {
      throw new UserError(
        `${this.path} has ${JSON.stringify(this.values[key])} for ${key}; a positive number is expected.`,
      );
    }
    return value;
  }

  /** Settings of the rotary embedding, where newer or older files have them. */
  get rope(): Readonly<Record<string, unknown>> {
    return (this.values.rope_parameters ?? this.values.rope_scaling ?? {}) as Record<string, unknown>;
  }

  /** @throws UserError always: for a variant that would silently be another model. */
  refuse(what: string): never {
    throw new UserError(
      `${this.path} asks for ${what}, which klamp's local engine does not support yet; use a plain Llama checkpoint.`,
    );
  }

  /** What every family has. @throws UserError for sizes that make no decoder. */
  shape(): ModelConfig {
    const heads = this.number("num_attention_heads");
    const kvHeads = this.number("num_key_value_heads", heads);
    const hiddenSize = this.number("hidden_size");
    const headDim = this.number("head_dim", hiddenSize / heads);
    if (heads % kvHeads !== 0 || headDim % 2 !== 0) {
      throw new UserError(
        `${this.path} has ${heads} heads, ${kvHeads} key/value heads and head size ${headDim}; heads must be a multiple of key/value heads and the head size even.`,
      );
    }
    const { rope_theta } = this.rope;
    return {
      vocabSize: this.number("vocab_size"),
      hiddenSize,
      intermediateSize: this.number("intermediate_size"),
      layers: this.number("num_hidden_layers"),
      heads,
      kvHeads,
      headDim,
      ropeTheta: typeof rope_theta === "number" ? rope_theta : this.number("rope_theta", 10_000),
      normEpsilon: this.number("rms_norm_eps", 1e-6),
      maxPositions: this.number("max_position_embeddings", 2048),
      tied: this.values.tie_word_embeddings === true,
      architecture: this.architecture,
    };
  }
}

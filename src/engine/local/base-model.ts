import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { UserError } from "../../common/errors.ts";
import { greatest } from "../../common/extremes.ts";
import { serialize } from "../../common/serial.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { attentionInput } from "../families/attention.ts";
import { attentionMask, type Columns, decoderDims, tokenPositions } from "../families/columns.ts";
import type { ModelConfig } from "../families/model-config.ts";
import { rotaryTables } from "../families/rotary.ts";
import { waysOf } from "../families/ways.ts";
import { EMBEDDINGS, HEAD } from "../families/weights.ts";
import { readModelConfig } from "./files/model-config.ts";
import { readModelWeights } from "./files/model-weights.ts";
import { idsWithoutToken } from "./files/tokenizer-ids.ts";
import type { Dims, Program } from "./program.ts";
import type { ModelMachine } from "./programs.ts";
import { type Feeds, loadRuntime, type Runtime } from "./runtime.ts";

/** How much of the machine a model takes. */
export interface LocalModelOptions {
  /** What the folder is a snapshot of, a name on the hub and a commit: adapters say it as their base. */
  readonly hub?: { readonly name: string; readonly revision: string } | undefined;
  /** Threads of one operator. Default `"auto"`: one per core. */
  readonly threads?: number | "auto" | undefined;
  /** Rows of a [rows, V] matrix of log-probabilities that are held at once. Default: as many as 64 MB hold. */
  readonly rowsAtOnce?: number | undefined;
  /** Tokens, padding included, that go through the decoder at once. Default: as many as leave about 1 GB of activations. */
  readonly tokensAtOnce?: number | undefined;
}

/**
 * A base model in memory, and what its clients share: weights, opened programs, a lock, and what decoders are fed. It
 * knows none of them.
 */
export class BaseModel implements ModelMachine {
  /** Its name on the hub, or the folder it was read from. */
  readonly name: string;
  /** The commit, of a model of the hub. */
  readonly revision: string | undefined;
  readonly config: ModelConfig;
  /** What its user should know of how the folder was read. */
  readonly notices: readonly string[];
  readonly runtime: Runtime;
  readonly threads: number;
  readonly rowsAtOnce: number;
  readonly tokensAtOnce: number;
  /** By their names in the checkpoint. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Weights by the names of graph inputs. */
  readonly feeds: Feeds;
  /**
   * Runs one sampler's work at a time, since samplers share the memory of their programs. What changes weights that a
   * sampler may be looking through waits here too.
   */
  readonly lock = serialize();
  #idsWithoutToken: readonly number[] | undefined;
  readonly #programs = new Map<string, Promise<Program>>();
  #rotary = { positions: 0, feeds: new Map() as Feeds };

  constructor(
    runtime: Runtime,
    name: string,
    config: ModelConfig,
    weights: ReadonlyMap<string, Tensor>,
    options: LocalModelOptions = {},
    notices: readonly string[] = [],
  ) {
    const residualsPerToken = config.layers * (9 * config.hiddenSize + 4 * config.intermediateSize);
    const {
      threads = "auto",
      rowsAtOnce = Math.max(1, Math.floor(LOGITS_AT_ONCE / config.vocabSize)),
      tokensAtOnce = Math.max(1, Math.floor(RESIDUALS_AT_ONCE / residualsPerToken)),
    } = options;
    this.runtime = runtime;
    this.notices = notices;
    this.name = options.hub?.name ?? name;
    this.revision = options.hub?.revision;
    this.config = config;
    this.threads = threads === "auto" ? availableParallelism() : threads;
    this.rowsAtOnce = rowsAtOnce;
    this.tokensAtOnce = tokensAtOnce;
    this.weights = weights;
    this.feeds = new Map(
      [...weights].flatMap(([name, { data, shape }]) => {
        const fed = runtime.floats(data, shape);
        const isHead = name === (config.tied ? EMBEDDINGS : HEAD);
        return isHead ? [[name, fed] as const, ["head", fed] as const] : [[name, fed] as const];
      }),
    );
  }

  /**
   * Reads a Hugging Face model folder: `config.json` and `model.safetensors` (or shards with their index).
   *
   * @throws UserError when a file is missing, malformed or asks for what is not supported, and without ONNX Runtime.
   */
  static async open(folder: string, options: LocalModelOptions = {}): Promise<BaseModel> {
    if (!existsSync(folder)) {
      throw new UserError(
        `the model folder ${folder} does not exist; give a Hugging Face folder with config.json, model.safetensors and tokenizer.json.`,
      );
    }
    const written = await readModelConfig(folder);
    const runtime = await loadRuntime();
    const { config, weights, notices } = await readModelWeights(folder, written);
    return new BaseModel(runtime, folder, config, weights, options, notices);
  }

  /** Ids that the model's head knows and its tokenizer does not: rows that fill up a vocabulary. They are never drawn. */
  get idsWithoutToken(): readonly number[] {
    this.#idsWithoutToken ??= idsWithoutToken(this.name, this.config.vocabSize);
    return this.#idsWithoutToken;
  }

  /** Opens a program once under its key and keeps it until the model is closed. */
  program(key: string, open: (machine: ModelMachine) => Promise<Program>): Promise<Program> {
    let program = this.#programs.get(key);
    if (!program) {
      program = open(this);
      this.#programs.set(key, program);
    }
    return program;
  }

  /** Tensors as graph inputs of their names: over the same numbers. */
  feed(tensors: ReadonlyMap<string, Tensor>): Feeds {
    return new Map([...tensors].map(([name, { data, shape }]) => [name, this.runtime.floats(data, shape)]));
  }

  /** What a decoder is fed of these tokens [batch · length] besides weights, and the sizes of its dimensions. */
  decoderFeeds(tokens: ArrayLike<number>, columns: Columns): { feeds: Feeds; dims: Dims } {
    const feed = ({ data, shape }: Tensor) => this.runtime.floats(data, shape);
    const positions = tokenPositions(columns);
    const masks = waysOf(this.config).map(
      (way) => [attentionInput("mask", way), feed(attentionMask(this.config, way, columns))] as const,
    );
    const feeds = new Map([
      ["embeddings", feed(this.#embed(tokens))] as const,
      ["positions", this.runtime.int64s(positions.data, positions.shape)] as const,
      ...masks,
      ...this.#rotaryFeeds(Math.max(0, greatest(columns.cache?.lengths ?? [])) + columns.length),
    ]);
    return { feeds, dims: decoderDims(this.config, columns) };
  }

  /** Frees the programs. */
  async close(): Promise<void> {
    const programs = await Promise.all(this.#programs.values());
    this.#programs.clear();
    await Promise.all(programs.map((program) => program.close()));
  }

  /** [tokens, hidden] the embeddings of the tokens. */
  #embed(tokens: ArrayLike<number>): Tensor {
    const width = this.config.hiddenSize;
    const table = this.weights.get(EMBEDDINGS)!.data;
    const data = new Float32Array(tokens.length * width);
    for (let i = 0; i < tokens.length; i++) {
      const from = tokens[i]! * width;
      data.set(table.subarray(from, from + width), i * width);
    }
    return { data, shape: [tokens.length, width] };
  }

  /** `cos` and `sin` of at least so many positions, for each way of attention. */
  #rotaryFeeds(positions: number): Feeds {
    if (positions > this.#rotary.positions) {
      const enough = Math.min(this.config.maxPositions, Math.max(2 * positions, 256));
      const feeds = new Map(
        waysOf(this.config).flatMap((way) => {
          if (!way.rope) return [];
          const { cos, sin } = rotaryTables(this.config.headDim, way.rope, enough);
          return [
            [attentionInput("cos", way), this.runtime.floats(cos.data, cos.shape)] as const,
            [attentionInput("sin", way), this.runtime.floats(sin.data, sin.shape)] as const,
          ];
        }),
      );
      this.#rotary = { positions: enough, feeds };
    }
    return this.#rotary.feeds;
  }
}

/** 64 MB of log-probabilities. */
const LOGITS_AT_ONCE = 1 << 24;
/** About 1 GB of activations. */
const RESIDUALS_AT_ONCE = 1 << 28;

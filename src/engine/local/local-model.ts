import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { UserError } from "../../common/errors.ts";
import { inTurn } from "../../common/serial.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { PROJECTIONS, type Projection } from "../../model/lora.ts";
import { type ModelConfig, readModelConfig } from "../families/model-config.ts";
import { rotaryTables } from "../families/rotary.ts";
import { type Batch, causalMask, decoderDims, tokenPositions } from "./batch.ts";
import { type Adapter, type LoraSettings, newAdapter, readAdapter, toLora } from "./files/adapter.ts";
import { tensorsDigest } from "./files/digest.ts";
import { EMBEDDINGS, HEAD, readModelWeights } from "./files/model-weights.ts";
import { parameter } from "./optimizer.ts";
import { type Dims, type Feeds, floats, type Program } from "./program.ts";
import { LocalSamplingClient } from "./sampling-client.ts";
import { LocalTrainingClient } from "./training-client.ts";

/** How much of the machine a model takes. */
export interface LocalModelOptions {
  /** Threads of one operator. Default `"auto"`: one per core. */
  readonly threads?: number | "auto";
  /** Rows of a [rows, V] matrix of log-probabilities that are held at once. Default: as many as 64 MB hold. */
  readonly rowsAtOnce?: number;
  /** Tokens, padding included, that go through the decoder at once. Default: as many as leave about 1 GB of activations. */
  readonly tokensAtOnce?: number;
}

/** LoRA settings of a new training client. */
export interface NewAdapterOptions {
  /** Default 8. */
  readonly rank?: number;
  /** Default twice the rank. */
  readonly alpha?: number;
  /** Default `"all-linear"`: the seven projections of every layer. */
  readonly target_modules?: "all-linear" | readonly Projection[];
  /** Default false. */
  readonly use_rslora?: boolean;
  /** Of the random start of A. Default 0. */
  readonly seed?: number;
}

/**
 * A base model in memory, on ONNX Runtime in this process. Its weights never change; training clients and samplers
 * share them.
 *
 * @example
 * const model = await LocalModel.open("./models/small-world");
 * const client = await model.trainingClient({ rank: 8, alpha: 16 });
 */
export class LocalModel {
  /** The folder it was read from. */
  readonly folder: string;
  readonly config: ModelConfig;
  readonly threads: number;
  readonly rowsAtOnce: number;
  readonly tokensAtOnce: number;
  readonly #weights: ReadonlyMap<string, Tensor>;
  /** Base weights by the names of graph inputs. */
  readonly feeds: Feeds;
  readonly #programs = new Map<string, Promise<Program>>();
  /**
   * Runs one sampler's work at a time, since samplers share the memory of their graphs. What changes weights that a
   * sampler may be looking through waits here too.
   */
  readonly alone = inTurn();
  #rotary = { positions: 0, feeds: new Map() as Feeds };

  /** A model of given weights; `open` reads them from a folder. */
  constructor(
    folder: string,
    config: ModelConfig,
    weights: ReadonlyMap<string, Tensor>,
    options: LocalModelOptions = {},
  ) {
    const keptPerToken = config.layers * (9 * config.hiddenSize + 4 * config.intermediateSize);
    const {
      threads = "auto",
      rowsAtOnce = Math.max(1, Math.floor(LOGITS_AT_ONCE / config.vocabSize)),
      tokensAtOnce = Math.max(1, Math.floor(KEPT_AT_ONCE / keptPerToken)),
    } = options;
    this.folder = folder;
    this.config = config;
    this.threads = threads === "auto" ? availableParallelism() : threads;
    this.rowsAtOnce = rowsAtOnce;
    this.tokensAtOnce = tokensAtOnce;
    this.#weights = weights;
    this.feeds = new Map(
      [...weights].flatMap(([name, { data, shape }]) => {
        const fed = floats(data, shape);
        const isHead = name === (config.tied ? EMBEDDINGS : HEAD);
        return isHead ? [[name, fed] as const, ["head", fed] as const] : [[name, fed] as const];
      }),
    );
  }

  /**
   * Reads a Hugging Face model folder: `config.json` and `model.safetensors` (or shards with their index).
   *
   * @throws UserError when a file is missing, malformed or asks for what is not supported.
   */
  static async open(folder: string, options: LocalModelOptions = {}): Promise<LocalModel> {
    if (!existsSync(folder)) {
      throw new UserError(
        `the model folder ${folder} does not exist; give a Hugging Face folder with config.json, model.safetensors and tokenizer.json.`,
      );
    }
    const config = await readModelConfig(folder);
    return new LocalModel(folder, config, await readModelWeights(folder, config), options);
  }

  /** A client that trains a LoRA adapter: a fresh one, or one that a PEFT folder holds. */
  async trainingClient(options: NewAdapterOptions | { readonly adapter: string } = {}): Promise<LocalTrainingClient> {
    if ("adapter" in options) return LocalTrainingClient.lora(this, await readAdapter(options.adapter, this.config));
    const { rank = 8, alpha = 2 * rank, target_modules = "all-linear", use_rslora = false, seed = 0 } = options;
    const modules = target_modules === "all-linear" ? PROJECTIONS : target_modules;
    const settings: LoraSettings = { rank, alpha, target_modules: modules, use_rslora };
    return LocalTrainingClient.lora(this, newAdapter(this.config, settings, seed));
  }

  /** A client that trains every weight of the model, in place: how a base model is made. */
  pretrainingClient(): Promise<LocalTrainingClient> {
    const parameters = [...this.#weights].map(([name, { data, shape }]) => [name, parameter(data, shape)] as const);
    return LocalTrainingClient.pretraining(this, new Map(parameters));
  }

  /** A sampler over the base model, or over the base with an adapter. */
  sampler(adapter?: Adapter): LocalSamplingClient {
    const feeds = new Map([...(adapter?.matrices ?? [])].map(([name, { data, shape }]) => [name, floats(data, shape)]));
    return new LocalSamplingClient(this, { lora: adapter ? toLora(adapter) : null, feeds });
  }

  /** Frees the graphs that the model and its clients hold. */
  async close(): Promise<void> {
    const programs = await Promise.all(this.#programs.values());
    this.#programs.clear();
    await Promise.all(programs.map((program) => program.close()));
  }

  /** `sha256:…` of configuration and weights, the same however files hold them. */
  digest(): string {
    return tensorsDigest(this.#weights, this.config);
  }

  /** Opens a program once under its key and keeps it until the model is closed. */
  program(key: string, open: () => Promise<Program>): Promise<Program> {
    let program = this.#programs.get(key);
    if (!program) {
      program = open();
      this.#programs.set(key, program);
    }
    return program;
  }

  /** [tokens, hidden] the embeddings of the tokens. */
  embed(tokens: ArrayLike<number>): Tensor {
    const width = this.config.hiddenSize;
    const table = this.#weights.get(EMBEDDINGS)!.data;
    const data = new Float32Array(tokens.length * width);
    for (let i = 0; i < tokens.length; i++) {
      const from = tokens[i]! * width;
      data.set(table.subarray(from, from + width), i * width);
    }
    return { data, shape: [tokens.length, width] };
  }

  /** What the decoder reads of a batch, and the sizes of its dimensions. */
  batchFeeds({ data, length, tokens }: Batch): { feeds: Feeds; dims: Dims } {
    const embeddings = this.embed(tokens);
    const feeds = new Map([
      ["embeddings", floats(embeddings.data, embeddings.shape)],
      ["positions", tokenPositions(new Array(data.length).fill(0), length)],
      ["mask", causalMask(this.config, length)],
      ...this.rotary(length),
    ]);
    return { feeds, dims: decoderDims(this.config, data.length, length) };
  }

  /** `cos` and `sin` of at least so many positions. */
  rotary(positions: number): Feeds {
    if (positions > this.#rotary.positions) {
      const enough = Math.min(this.config.maxPositions, Math.max(2 * positions, 256));
      const { cos, sin } = rotaryTables(this.config, enough);
      const feeds = new Map([
        ["cos", floats(cos.data, cos.shape)],
        ["sin", floats(sin.data, sin.shape)],
      ]);
      this.#rotary = { positions: enough, feeds };
    }
    return this.#rotary.feeds;
  }
}

/** 64 MB of log-probabilities. */
const LOGITS_AT_ONCE = 1 << 24;
/** About 1 GB of activations. */
const KEPT_AT_ONCE = 1 << 28;

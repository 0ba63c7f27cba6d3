import type { Tensor } from "../../divergence/tensor.ts";
import type { Engine, ModelFacts, StoreSupport } from "../../model/contract.ts";
import { type AdapterStart, LORA_DEFAULTS, type LoraOptions, loraSettings } from "../../model/lora.ts";
import { newAdapter } from "../families/adapter.ts";
import { toLora } from "../families/lora.ts";
import type { ModelConfig } from "../families/model-config.ts";
import { BaseModel, type LocalModelOptions } from "./base-model.ts";
import { LocalClient } from "./client.ts";
import { readAdapter } from "./files/adapter.ts";
import { adapterDigest, modelDigest } from "./files/digest.ts";
import { HiddenHead } from "./head.ts";
import { loadRuntime } from "./runtime.ts";
import { LocalSamplingClient } from "./sampling-client.ts";
import { LocalTrainingClient } from "./training-client.ts";

/**
 * The embedded engine: a base model in memory, on ONNX Runtime in this process. Its weights never change; training clients
 * and samplers share them.
 *
 * @example
 * const model = await LocalModel.open("./models/small-world");
 * const client = await model.trainingClient({ rank: 8, alpha: 16 });
 */
export class LocalModel implements Engine {
  readonly config: ModelConfig;
  readonly model: ModelFacts;
  readonly stores: StoreSupport;
  readonly #base: BaseModel;

  private constructor(base: BaseModel) {
    const { name, revision, config, weights, notices } = base;
    this.#base = base;
    this.config = config;
    this.model = {
      name,
      revision,
      vocabSize: config.vocabSize,
      maxPositions: config.maxPositions,
      cacheBytesPerToken: 2 * config.layers * config.kvHeads * config.headDim * 4,
      ...(notices.length > 0 && { notices }),
    };
    this.stores = {
      hiddenSize: config.hiddenSize,
      digest: () => modelDigest(config, weights),
      adapterDigest: async (folder) => adapterDigest(await readAdapter(folder, config)),
      head: (name) => new HiddenHead(base, name),
    };
  }

  /**
   * Reads a Hugging Face model folder: `config.json` and `model.safetensors` (or shards with their index).
   *
   * @throws UserError when a file is missing, malformed or asks for what is not supported, and when the optional package
   * onnxruntime-node is not installed.
   */
  static async open(folder: string, options: LocalModelOptions = {}): Promise<LocalModel> {
    return new LocalModel(await BaseModel.open(folder, options));
  }

  /** A model of given weights, by their names in the checkpoint. They are used where they lie. */
  static async of(
    name: string,
    config: ModelConfig,
    weights: ReadonlyMap<string, Tensor>,
    options: LocalModelOptions = {},
  ): Promise<LocalModel> {
    return new LocalModel(new BaseModel(await loadRuntime(), name, config, weights, options));
  }

  /**
   * A client that trains a LoRA adapter: a fresh one, or one that a PEFT folder holds.
   *
   * @throws UserError for invalid settings, or an adapter that does not fit the model.
   */
  async trainingClient(start: LoraOptions | AdapterStart = {}): Promise<LocalTrainingClient> {
    const { seed = LORA_DEFAULTS.seed } = start;
    if (!("adapter" in start)) {
      return LocalTrainingClient.open(this.#base, newAdapter(this.config, loraSettings(start), seed), seed);
    }
    const adapter = await readAdapter(start.adapter, this.config);
    const { dropout = adapter.dropout } = start;
    return LocalTrainingClient.open(this.#base, { ...adapter, dropout }, seed);
  }

  /** A client that trains every weight of the model, in place: how a base model is made. */
  pretrainingClient(): Promise<LocalClient> {
    return LocalClient.ofAllWeights(this.#base);
  }

  /** A sampler over the base, or over the base with the adapter of a PEFT folder. */
  async sampler(adapter?: string): Promise<LocalSamplingClient> {
    const base = this.#base;
    if (adapter === undefined) return new LocalSamplingClient(base, { lora: null, feeds: new Map() });
    const { matrices, ...settings } = await readAdapter(adapter, this.config);
    return new LocalSamplingClient(base, { lora: toLora(this.config, settings), feeds: base.feed(matrices) });
  }

  /** Frees the programs that the model and its clients hold. */
  close(): Promise<void> {
    return this.#base.close();
  }
}

import { availableParallelism } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import type { Datum } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { UserError } from "../../errors.ts";
import { mergePenaltyMetrics } from "../../regularizer/merge.ts";
import type {
  AdamParams,
  CustomLoss,
  CustomOutput,
  ForwardOutput,
  SamplingClient,
  TrainingClient,
} from "../contract.ts";
import { writeAdapter } from "./adapter-files.ts";
import { type Batch, splitBatches } from "./batch.ts";
import { PROJECTIONS, type Projection } from "./decoder.ts";
import { gradientName } from "./graph.ts";
import { type Adapter, loadAdapter, loraOf, newAdapter, PEFT_PREFIX } from "./lora.ts";
import { loadModelWeights, type ModelConfig, readModelConfig } from "./model-folder.ts";
import { adamw, gradientNorm, type Parameter, parameter } from "./parameters.ts";
import type { Feeds } from "./program.ts";
import { Programs } from "./programs.ts";
import { rotaryTables } from "./rotary.ts";
import { everyToken, negativeLogLikelihood, perDatum, targetLogprobs, throughLogSoftmax } from "./rows.ts";
import { openSafetensors, writeSafetensors } from "./safetensors.ts";
import { generate } from "./sampler.ts";

export interface LocalEngineOptions {
  /** A Hugging Face model folder: config.json, model.safetensors. */
  readonly model: string;
  readonly lora: {
    readonly rank: number;
    readonly alpha: number;
    readonly target_modules: "all-linear" | readonly Projection[];
    /** Seed of the random start of A. Default 0. */
    readonly seed?: number;
  };
  /** A PEFT adapter folder to start from; it brings its own rank, alpha and target modules. */
  readonly adapter?: string | null;
  /** Default "auto": all cores. */
  readonly threads?: number | "auto";
}

/** Limits of one pass through the model: padded tokens, and numbers in its rows × vocabulary. */
const TOKENS_AT_ONCE = 4096;
const LOGITS_AT_ONCE = 1 << 24;
const OPTIMIZER_FILE = "optimizer.safetensors";

/**
 * A model that trains and samples in this process, on ONNX Runtime.
 *
 * @example
 * const engine = await LocalEngine.open({ model: "./models/small-world", lora: { rank: 8, alpha: 16, target_modules: "all-linear" } });
 */
export class LocalEngine implements TrainingClient {
  readonly config: ModelConfig;
  /** Everything that training changes, by its name in the graphs. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly #adapter: Adapter | undefined;
  readonly #model: string;
  readonly #programs: Programs;
  /** What every graph may read: parameters hide weights of the same name. */
  readonly #feeds: readonly Feeds[];
  #steps = 0;

  private constructor(
    config: ModelConfig,
    weights: ReadonlyMap<string, Tensor>,
    trained: Adapter | ReadonlyMap<string, Parameter>,
    { model = "", threads = "auto" }: { model?: string; threads?: number | "auto" },
  ) {
    this.config = config;
    this.#adapter = "rank" in trained ? trained : undefined;
    this.parameters = "rank" in trained ? trained.parameters : trained;
    this.#model = model;
    const count = threads === "auto" ? availableParallelism() : threads;
    this.#programs = new Programs(config, this.#adapter && loraOf(this.#adapter), count);
    this.#feeds = [toFeeds(this.parameters), toFeeds(weights), toFeeds(rotaryTables(config))];
  }

  /** Opens a model folder for LoRA training. */
  static async open({ model, lora, adapter, threads = "auto" }: LocalEngineOptions): Promise<LocalEngine> {
    const config = readModelConfig(model);
    const weights = loadModelWeights(model, config);
    const { rank, alpha, target_modules, seed = 0 } = lora;
    const targetModules = target_modules === "all-linear" ? (Object.keys(PROJECTIONS) as Projection[]) : target_modules;
    const trained = adapter
      ? loadAdapter(config, adapter)
      : newAdapter(config, { rank, alpha, targetModules, useRslora: false }, seed);
    return new LocalEngine(config, weights, trained, { model, threads });
  }

  /** Trains every weight instead of an adapter: how a base model is made. The given tensors are changed in place. */
  static pretrain(
    config: ModelConfig,
    weights: ReadonlyMap<string, Tensor>,
    threads: number | "auto" = "auto",
  ): LocalEngine {
    const trained = new Map([...weights].map(([name, { data, shape }]) => [name, parameter(data, shape)]));
    return new LocalEngine(config, new Map(), trained, { threads });
  }

  async forward(data: readonly Datum[]): Promise<ForwardOutput> {
    const logprobs = await this.#look("current", data, targetLogprobs);
    return { logprobs, metrics: { "loss:sum": negativeLogLikelihood(data, logprobs) } };
  }

  async forwardBackward(data: readonly Datum[]): Promise<ForwardOutput> {
    const logprobs = new Map<Datum, Tensor>();
    const { loss } = await this.forwardBackwardCustom(data, {
      support: "sampled",
      compute: (part, sampled) => {
        part.forEach((datum, i) => {
          logprobs.set(datum, sampled[i]!);
        });
        const gradient = part.map(({ lossInputs: { weights } }) => ({
          data: weights.data.map((w) => -w),
          shape: weights.shape,
        }));
        return { loss: negativeLogLikelihood(part, sampled), gradient, metrics: {} };
      },
    });
    return { logprobs: data.map((datum) => logprobs.get(datum)!), metrics: { "loss:sum": loss } };
  }

  async forwardBackwardCustom(data: readonly Datum[], loss: CustomLoss): Promise<CustomOutput> {
    let total = 0;
    const metrics: Readonly<Record<string, number>>[] = [];
    for (const batch of this.#batches(data)) {
      const penalty = await this.#trainOn(batch, loss);
      total += penalty.loss;
      metrics.push(penalty.metrics);
    }
    return { loss: total, metrics: mergePenaltyMetrics(metrics) };
  }

  async optimStep(params: AdamParams): Promise<{ readonly grad_norm: number }> {
    const norm = gradientNorm(this.parameters.values());
    this.#steps++;
    adamw(this.parameters.values(), params, this.#steps, norm);
    return { grad_norm: norm };
  }

  async saveAdapter(folder: string): Promise<void> {
    if (!this.#adapter) throw new UserError("every weight is being trained here, there is no adapter to save");
    const weights = new Map(
      [...this.parameters].map(([name, { data, shape }]) => [PEFT_PREFIX + name, { data, shape }]),
    );
    writeAdapter(folder, { ...this.#adapter, weights, baseModel: this.#model });
  }

  async saveState(folder: string): Promise<void> {
    await this.saveAdapter(folder);
    const moments = [...this.parameters].flatMap(([name, { mean, variance, shape }]): [string, Tensor][] => [
      [`mean.${name}`, { data: mean, shape }],
      [`variance.${name}`, { data: variance, shape }],
    ]);
    writeSafetensors(
      join(folder, OPTIMIZER_FILE),
      new Map<string, Tensor>([...moments, ["steps", { data: Float32Array.of(this.#steps), shape: [1] }]]),
    );
  }

  async loadState(folder: string): Promise<void> {
    const { parameters } = loadAdapter(this.config, folder);
    const optimizer = openSafetensors(join(folder, OPTIMIZER_FILE));
    for (const [name, { data, mean, variance, gradient }] of this.parameters) {
      const saved = parameters.get(name);
      if (saved?.data.length !== data.length)
        throw new UserError(`${folder} does not hold ${name} in the size trained here: use the same lora settings`);
      data.set(saved.data);
      mean.set(optimizer.read(`mean.${name}`));
      variance.set(optimizer.read(`variance.${name}`));
      gradient.fill(0);
    }
    this.#steps = optimizer.read("steps")[0]!;
  }

  sampler(weights: "current" | "base"): SamplingClient {
    return {
      sample: async (prompts, params) => {
        const programs = await this.#programs.look(`${weights}-cached`);
        return generate({ config: this.config, ...programs, feeds: this.#feeds }, prompts, params);
      },
      computeLogprobs: async (tokens) => {
        const logprobs = await this.#look(weights, tokens.map(everyToken), targetLogprobs);
        return logprobs.map(({ data }) => Float32Array.of(Number.NaN, ...data));
      },
      distributions: (data) => this.#look(weights, data, (_, { data: rows, shape }) => ({ data: rows.slice(), shape })),
    };
  }

  /** Releases the graphs. */
  close(): Promise<void> {
    return this.#programs.close();
  }

  #batches(data: readonly Datum[]): Generator<Batch> {
    return splitBatches(data, this.config, {
      tokens: TOKENS_AT_ONCE,
      rows: Math.floor(LOGITS_AT_ONCE / this.config.vocabSize),
    });
  }

  async #trainOn(batch: Batch, loss: CustomLoss) {
    const { trunk, head, headBackward, backward } = await this.#programs.train();
    const { data, offsets, dims } = batch;
    const kept = await trunk.run([batch.feeds, ...this.#feeds], dims);
    const rows = (await head.run([kept, ...this.#feeds], dims)).get("logprobs")!.data as Float32Array;
    const logprobs = perDatum(data, offsets, rows, this.config.vocabSize);
    const whole = loss.support === "vocabulary";
    const penalty = await loss.compute(
      data,
      whole ? logprobs : data.map((datum, i) => targetLogprobs(datum, logprobs[i]!)),
    );

    const slopes = new Float32Array(rows.length);
    const slopesOf = perDatum(data, offsets, slopes, this.config.vocabSize);
    data.forEach((datum, i) => {
      const gradient = penalty.gradient[i]!;
      if (whole) slopesOf[i]!.data.set(gradient.data);
      else throughLogSoftmax(datum, logprobs[i]!, gradient, slopesOf[i]!.data);
    });
    const headFeeds = new Map([
      ...kept,
      ["gradient", new ort.Tensor("float32", slopes, [dims["R"]!, this.config.vocabSize])] as const,
    ]);
    const headGradients = await headBackward.run([headFeeds, ...this.#feeds], dims);
    this.#accumulate(headGradients);
    const trunkFeeds = new Map([...kept, ["gradient", headGradients.get(gradientName("hidden"))!] as const]);
    this.#accumulate(await backward.run([trunkFeeds, batch.feeds, ...this.#feeds], dims));
    return penalty;
  }

  #accumulate(gradients: Feeds): void {
    for (const [name, { gradient }] of this.parameters) {
      const more = gradients.get(gradientName(name))?.data as Float32Array | undefined;
      if (more) for (let i = 0; i < more.length; i++) gradient[i]! += more[i]!;
    }
  }

  async #look(
    weights: "current" | "base",
    data: readonly Datum[],
    pick: (datum: Datum, logprobs: Tensor) => Tensor,
  ): Promise<Tensor[]> {
    const { trunk, head } = await this.#programs.look(weights);
    const results = new Array<Tensor>(data.length);
    for (const { data: part, indices, feeds, dims, offsets } of this.#batches(data)) {
      const hidden = await trunk.run([feeds, ...this.#feeds], dims);
      const rows = (await head.run([hidden, ...this.#feeds], dims)).get("logprobs")!.data as Float32Array;
      perDatum(part, offsets, rows, this.config.vocabSize).forEach((logprobs, i) => {
        results[indices[i]!] = pick(part[i]!, logprobs);
      });
    }
    return results;
  }
}

function toFeeds(tensors: ReadonlyMap<string, Tensor | Parameter>): Feeds {
  return new Map([...tensors].map(([name, { data, shape }]) => [name, new ort.Tensor("float32", data, shape)]));
}

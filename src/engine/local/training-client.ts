import { join } from "node:path";
import type { Datum } from "../../data/datum.ts";
import { openSafetensors, writeSafetensors } from "../../data/safetensors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { UserError } from "../../errors.ts";
import { mergePenaltyMetrics } from "../../regularizer/merge.ts";
import type { AdamParams, CustomLoss, CustomOutput, ForwardOutput, TrainingClient } from "../contract.ts";
import { type Adapter, readAdapter, toLora, writeAdapter } from "./adapter.ts";
import { type Batch, splitBatches } from "./batch.ts";
import { buildDecoder } from "./decoder.ts";
import type { LocalModel } from "./model.ts";
import { EMBEDDINGS, HEAD } from "./model-weights.ts";
import { adamw, gradientNorm, type Parameter, parameter } from "./optimizer.ts";
import { type Feeds, floats, type Program } from "./program.ts";
import { gradientOf, openHead, openHeadBackward, openTrainPrograms, type TrainPrograms } from "./programs.ts";
import {
  gatherRows,
  negativeLogLikelihood,
  perDatum,
  type RowPart,
  rowParts,
  scatterAdd,
  targetLogprobs,
  throughLogSoftmax,
} from "./rows.ts";
import { LocalSamplingClient, type Weights } from "./sampling-client.ts";

const OPTIMIZER_FILE = "optimizer.safetensors";

interface Programs extends TrainPrograms {
  readonly head: Program;
  readonly headBackward: Program;
}

/** Trains the matrices of a LoRA adapter, or every weight of a model. */
export class LocalTrainingClient implements TrainingClient {
  readonly #model: LocalModel;
  readonly #adapter: Adapter | null;
  /** Everything that training changes, by the names of graph inputs. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly #weights: Weights;
  readonly #programs: Programs;
  #steps = 0;

  private constructor(
    model: LocalModel,
    adapter: Adapter | null,
    parameters: ReadonlyMap<string, Parameter>,
    programs: Programs,
  ) {
    this.#model = model;
    this.#adapter = adapter;
    this.parameters = parameters;
    this.#programs = programs;
    const feeds = new Map([...parameters].map(([name, { data, shape }]) => [name, floats(data, shape)]));
    this.#weights = { lora: adapter && toLora(adapter), feeds };
  }

  /** Trains this adapter, whose matrices change in place. */
  static async lora(model: LocalModel, adapter: Adapter): Promise<LocalTrainingClient> {
    const parameters = new Map([...adapter.matrices].map(([name, { data, shape }]) => [name, parameter(data, shape)]));
    const decoder = buildDecoder(model.config, toLora(adapter));
    const trained = [...decoder.adapter.values()];
    const { config, threads } = model;
    const programs = {
      ...(await openTrainPrograms(decoder, trained, threads)),
      head: await openHead(config, threads),
      headBackward: await openHeadBackward(config, false, threads),
    };
    return new LocalTrainingClient(model, adapter, parameters, programs);
  }

  /** Trains all of the model's weights, which change in place. */
  static async pretraining(
    model: LocalModel,
    parameters: ReadonlyMap<string, Parameter>,
  ): Promise<LocalTrainingClient> {
    const { config, threads } = model;
    const decoder = buildDecoder(config, null);
    const programs = {
      ...(await openTrainPrograms(decoder, [decoder.embeddings, ...decoder.weights.values()], threads)),
      head: await openHead(config, threads),
      headBackward: await openHeadBackward(config, true, threads),
    };
    return new LocalTrainingClient(model, null, parameters, programs);
  }

  async forward(data: readonly Datum[]): Promise<ForwardOutput> {
    const logprobs = await this.sampler("current").targets(data);
    return { logprobs, metrics: { "loss:sum": negativeLogLikelihood(data, logprobs) } };
  }

  async forwardBackward(data: readonly Datum[]): Promise<ForwardOutput> {
    const logprobs = data.map(({ lossInputs: { weights } }) => ({
      data: new Float32Array(weights.data.length),
      shape: weights.shape,
    }));
    const { loss } = await this.#train(data, (part, rows) => {
      const sampled = part.data.map((datum, i) => targetLogprobs(datum, rows[i]!));
      for (const [i, { index, row }] of part.from.entries()) logprobs[index]!.data.set(sampled[i]!.data, row);
      const gradient = part.data.map(({ lossInputs: { weights } }, i) =>
        throughLogSoftmax(part.data[i]!, rows[i]!, { data: weights.data.map((w) => -w), shape: weights.shape }),
      );
      return { loss: negativeLogLikelihood(part.data, sampled), gradient, metrics: {} };
    });
    return { logprobs, metrics: { "loss:sum": loss } };
  }

  forwardBackwardCustom(data: readonly Datum[], loss: CustomLoss): Promise<CustomOutput> {
    if (loss.support === "vocabulary") return this.#train(data, (part, rows) => loss.compute(part.data, rows));
    return this.#train(data, async (part, rows) => {
      const sampled = part.data.map((datum, i) => targetLogprobs(datum, rows[i]!));
      const penalty = await loss.compute(part.data, sampled);
      const gradient = part.data.map((datum, i) => throughLogSoftmax(datum, rows[i]!, penalty.gradient[i]!));
      return { ...penalty, gradient };
    });
  }

  /** Leaves the weights as they are, and clears the gradients, when the gradients' norm is not finite. */
  async optimStep(params: AdamParams): Promise<{ readonly grad_norm: number }> {
    const parameters = [...this.parameters.values()];
    const norm = gradientNorm(parameters);
    if (Number.isFinite(norm)) adamw(parameters, params, ++this.#steps, norm);
    for (const { gradient } of parameters) gradient.fill(0);
    return { grad_norm: norm };
  }

  async saveAdapter(folder: string): Promise<void> {
    if (!this.#adapter) throw new UserError("every weight of the model is being trained, there is no adapter to save.");
    await writeAdapter(folder, this.#adapter, this.#model.folder);
  }

  async saveState(folder: string): Promise<void> {
    await this.saveAdapter(folder);
    const moments = [...this.parameters].flatMap(([name, { mean, variance, shape }]): [string, Tensor][] => [
      [`mean.${name}`, { data: mean, shape }],
      [`variance.${name}`, { data: variance, shape }],
    ]);
    await writeSafetensors(join(folder, OPTIMIZER_FILE), new Map(moments), { metadata: { steps: `${this.#steps}` } });
  }

  async loadState(folder: string): Promise<void> {
    const { matrices } = await readAdapter(folder, this.#model.config);
    const optimizer = await openSafetensors(join(folder, OPTIMIZER_FILE));
    try {
      for (const [name, { data, mean, variance, gradient, shape }] of this.parameters) {
        const saved = matrices.get(name);
        if (saved?.shape.join() !== shape.join()) {
          throw new UserError(
            `${folder} does not hold ${name} as [${shape.join(", ")}]; load it with the lora settings it was saved with.`,
          );
        }
        data.set(saved.data);
        mean.set((await optimizer.read(`mean.${name}`)).data);
        variance.set((await optimizer.read(`variance.${name}`)).data);
        gradient.fill(0);
      }
      this.#steps = Number(optimizer.metadata.steps);
    } finally {
      await optimizer.close();
    }
  }

  sampler(weights: "current" | "base"): LocalSamplingClient {
    return new LocalSamplingClient(
      this.#model,
      weights === "current" ? this.#weights : { lora: null, feeds: new Map() },
    );
  }

  /** Frees the graphs. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#programs).map((program: Program) => program.close()));
  }

  /** Forward, the loss of each part's log-probabilities, backward; adds to the gradients. */
  async #train(data: readonly Datum[], lossOf: PartLoss): Promise<CustomOutput> {
    let loss = 0;
    const metrics: CustomOutput["metrics"][] = [];
    for (const batch of splitBatches(data, this.#model.config, this.#model.tokensAtOnce)) {
      const { feeds, dims } = this.#model.batchFeeds(batch);
      const fed = [feeds, this.#weights.feeds, this.#model.feeds];
      const kept = await this.#programs.forward.run(fed, dims);
      const hidden = kept.get("hidden")!;
      const slope = new Float32Array(hidden.data.length);
      for (const part of rowParts(batch, this.#model.rowsAtOnce)) {
        const from = part.from.map(({ index, row }) => ({ index: batch.indices[index]!, row }));
        const penalty = await this.#trainHead({ ...part, from }, hidden.data as Float32Array, slope, lossOf);
        loss += penalty.loss;
        metrics.push(penalty.metrics);
      }
      const seed = new Map([[gradientOf("hidden"), floats(slope, hidden.dims)]]);
      this.#accumulate(await this.#programs.backward.run([kept, seed, ...fed], dims), batch);
    }
    return { loss, metrics: mergePenaltyMetrics(metrics) };
  }

  async #trainHead(part: RowPart, hidden: Float32Array, slope: Float32Array, lossOf: PartLoss) {
    const { hiddenSize: d, vocabSize } = this.#model.config;
    const rows = part.tokens.length;
    const fed: Feeds[] = [
      new Map([["hidden", floats(gatherRows(hidden, d, part.tokens), [rows, d])]]),
      this.#model.feeds,
    ];
    const { head, headBackward } = this.#programs;
    const logprobs = (await head.run(fed, { rows })).get("logprobs")!.data as Float32Array;
    const penalty = await lossOf(part, perDatum(part.data, logprobs, vocabSize));
    // The distributions have been read: their memory takes the gradient.
    for (const [i, to] of perDatum(part.data, logprobs, vocabSize).entries()) to.data.set(penalty.gradient[i]!.data);
    const seed = new Map([[gradientOf("logits"), floats(logprobs, [rows, vocabSize])]]);
    const slopes = await headBackward.run([seed, ...fed], { rows });
    scatterAdd(slope, d, part.tokens, slopes.get(gradientOf("hidden"))!.data as Float32Array);
    const headSlope = slopes.get(gradientOf("head"));
    if (headSlope)
      addTo(this.parameters.get(this.#model.config.tied ? EMBEDDINGS : HEAD)!, headSlope.data as Float32Array);
    return penalty;
  }

  #accumulate(slopes: Feeds, batch: Batch): void {
    for (const [name, slope] of slopes) {
      const data = slope.data as Float32Array;
      if (name === gradientOf("embeddings")) {
        scatterAdd(this.parameters.get(EMBEDDINGS)!.gradient, this.#model.config.hiddenSize, batch.tokens, data);
      } else addTo(this.parameters.get(name.slice(gradientOf("").length))!, data);
    }
  }
}

type PartLoss = (part: RowPart, logprobs: readonly Tensor[]) => ReturnType<CustomLoss["compute"]>;

function addTo({ gradient }: Parameter, more: Float32Array): void {
  for (let i = 0; i < more.length; i++) gradient[i]! += more[i]!;
}

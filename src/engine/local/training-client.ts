import { join } from "node:path";
import { UserError } from "../../common/errors.ts";
import { inTurn } from "../../common/serial.ts";
import type { Datum } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { mergePenaltyMetrics } from "../../loss/metrics.ts";
import type {
  AdamParams,
  AdapterLoss,
  CustomLoss,
  CustomOutput,
  ForwardOutput,
  TrainingClient,
} from "../../model/legacy.ts";
import { buildDecoder } from "../families/decoder.ts";
import { type Batch, splitBatches } from "./batch.ts";
import { type Adapter, type LoraSettings, readAdapter, sameSettings, toLora, writeAdapter } from "./files/adapter.ts";
import { EMBEDDINGS, HEAD } from "./files/model-weights.ts";
import { loadMoments, saveMoments } from "./files/moments.ts";
import type { LocalModel } from "./local-model.ts";
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
} from "./row-chunks.ts";
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
  /** One call at a time: a pass over data owns the memory of the graphs, and an update waits for the passes before it. */
  readonly #inTurn = inTurn();
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
      const gradient = part.data.map((datum, i) => {
        const { data } = sampled[i]!;
        const slope = penalty.gradient[i];
        if (slope?.data.length !== data.length) throw wrongGradient(part, i, slope?.data, data.length);
        return throughLogSoftmax(datum, rows[i]!, slope);
      });
      return { ...penalty, gradient };
    });
  }

  /** @throws UserError when it is not an adapter that is trained, or for a gradient of other matrices than the adapter's. */
  backwardAdapter(loss: AdapterLoss): Promise<CustomOutput> {
    return this.#inTurn(async () => {
      if (!this.#adapter) throw new UserError("every weight of the model is being trained, there is no adapter.");
      const { gradient, ...output } = loss(this.#adapter.matrices);
      for (const [name, { data }] of gradient) {
        const parameter = this.parameters.get(name);
        if (parameter?.data.length !== data.length) {
          throw new UserError(
            `the loss returned ${data.length} numbers as the gradient of ${name}, ${parameter ? `expected ${parameter.data.length}: one for each of its entries` : "which is none of the adapter's matrices"}.`,
          );
        }
        addTo(parameter, data);
      }
      return output;
    });
  }

  /** Leaves the weights as they are, and clears the gradients, when the gradients' norm is not finite. */
  optimStep(params: AdamParams): Promise<{ readonly grad_norm: number }> {
    const update = async () => {
      const parameters = [...this.parameters.values()];
      const norm = gradientNorm(parameters);
      if (Number.isFinite(norm)) adamw(parameters, params, ++this.#steps, norm);
      for (const { gradient } of parameters) gradient.fill(0);
      return { grad_norm: norm };
    };
    return this.#inTurn(() => this.#model.alone(update));
  }

  saveAdapter(folder: string): Promise<void> {
    return this.#inTurn(() => this.#writeAdapter(folder));
  }

  async #writeAdapter(folder: string): Promise<void> {
    if (!this.#adapter) throw new UserError("every weight of the model is being trained, there is no adapter to save.");
    await writeAdapter(folder, this.#adapter, this.#model.folder);
  }

  saveState(folder: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#writeAdapter(folder);
      await saveMoments(join(folder, OPTIMIZER_FILE), this.parameters, this.#steps);
    });
  }

  loadState(folder: string): Promise<void> {
    return this.#inTurn(async () => {
      const { matrices, ...saved } = await readAdapter(folder, this.#model.config);
      if (!this.#adapter || !sameSettings(saved, this.#adapter)) {
        const show = ({ rank, alpha, target_modules, use_rslora }: LoraSettings) =>
          `rank ${rank}, alpha ${alpha}${use_rslora ? " (rslora)" : ""} on ${target_modules.join(", ")}`;
        const here = this.#adapter ? show(this.#adapter) : "every weight of the model";
        throw new UserError(
          `${folder} was saved by training ${show(saved)}, here it is ${here}; load it with the settings it was saved with.`,
        );
      }
      const { moments, steps } = await loadMoments(join(folder, OPTIMIZER_FILE), this.parameters);
      await this.#model.alone(async () => {
        for (const [name, { data, mean, variance, gradient }] of this.parameters) {
          data.set(matrices.get(name)!.data);
          mean.set(moments.get(name)!.mean.data);
          variance.set(moments.get(name)!.variance.data);
          gradient.fill(0);
        }
        this.#steps = steps;
      });
    });
  }

  sampler(weights: "current" | "base"): LocalSamplingClient {
    return new LocalSamplingClient(
      this.#model,
      weights === "current" ? this.#weights : { lora: null, feeds: new Map() },
    );
  }

  /** A sampler over the weights of this moment, whatever training makes of them later: a copy of the adapter. */
  snapshot(): LocalSamplingClient {
    const copies = [...this.parameters].map(([name, { data, shape }]) => [name, floats(data.slice(), shape)] as const);
    return new LocalSamplingClient(this.#model, { lora: this.#weights.lora, feeds: new Map(copies) });
  }

  /** Frees the graphs. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#programs).map((program: Program) => program.close()));
  }

  #train(data: readonly Datum[], lossOf: PartLoss): Promise<CustomOutput> {
    return this.#inTurn(() => this.#pass(data, lossOf));
  }

  /** Forward, the loss of each part's log-probabilities, backward; adds to the gradients. */
  async #pass(data: readonly Datum[], lossOf: PartLoss): Promise<CustomOutput> {
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
    for (const [i, to] of perDatum(part.data, logprobs, vocabSize).entries()) {
      const gradient = penalty.gradient[i]?.data;
      if (gradient?.length !== to.data.length) throw wrongGradient(part, i, gradient, to.data.length);
      to.data.set(gradient);
    }
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

function wrongGradient({ data, from }: RowPart, i: number, found: Float32Array | undefined, expected: number) {
  const name = data[i]!.source ?? `datum ${from[i]!.index}`;
  return new UserError(
    `the loss returned ${found ? `${found.length} numbers` : "nothing"} as the gradient of ${name}, expected ${expected}: one for each number in its log-probabilities.`,
  );
}

type PartLoss = (part: RowPart, logprobs: readonly Tensor[]) => ReturnType<CustomLoss["compute"]>;

function addTo({ gradient }: Parameter, more: Float32Array): void {
  for (let i = 0; i < more.length; i++) gradient[i]! += more[i]!;
}

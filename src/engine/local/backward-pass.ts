import type { Datum } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { AddPart, Support } from "../../loss/contract.ts";
import type { Decoder } from "../families/decoder.ts";
import { EMBEDDINGS, HEAD } from "../families/weights.ts";
import type { BaseModel } from "./base-model.ts";
import { type Batch, splitBatches } from "./batch.ts";
import type { Dropout } from "./dropout.ts";
import type { Optimizer } from "./optimizer.ts";
import type { Program } from "./program.ts";
import { gradientOf, openHead, openHeadBackward, openTrainPrograms, type TrainPrograms } from "./programs.ts";
import {
  gatherRows,
  perSpan,
  type RowChunk,
  rowChunks,
  scatterAdd,
  targetLogprobs,
  throughLogSoftmax,
} from "./row-chunks.ts";
import type { Feeds } from "./runtime.ts";
import { ReusedZeros } from "./zeros.ts";

interface Programs extends TrainPrograms {
  readonly head: Program;
  readonly headBackward: Program;
}

/** Runs data forward, the caller's loss, and backward; gradients add up in an optimizer's parameters. */
export class BackwardPass {
  readonly #model: BaseModel;
  readonly #optimizer: Optimizer;
  /** The trained weights by the names of graph inputs. */
  readonly #feeds: Feeds;
  readonly #programs: Programs;
  readonly #dropout: Dropout | undefined;
  readonly #zeros = new ReusedZeros();

  private constructor(
    model: BaseModel,
    optimizer: Optimizer,
    feeds: Feeds,
    programs: Programs,
    dropout: Dropout | undefined,
  ) {
    this.#model = model;
    this.#optimizer = optimizer;
    this.#feeds = feeds;
    this.#programs = programs;
    this.#dropout = dropout;
  }

  /** @param what the adapter's matrices alone, or every weight of the model, embeddings and head as well. */
  static async open(
    model: BaseModel,
    optimizer: Optimizer,
    feeds: Feeds,
    { embeddings, hidden, adapter, weights }: Decoder,
    what: "adapter" | "weights",
    dropout?: Dropout,
  ): Promise<BackwardPass> {
    const trained = what === "adapter" ? [...adapter.values()] : [embeddings, ...weights.values()];
    const programs = {
      ...(await openTrainPrograms(model, hidden, trained)),
      head: await openHead(model),
      headBackward: await openHeadBackward(model, what === "weights"),
    };
    return new BackwardPass(model, optimizer, feeds, programs, dropout);
  }

  /** @param support what `add` gets: log-probabilities [n, V], or those of targets [n]. */
  async run(data: readonly Datum[], add: AddPart, support: Support): Promise<void> {
    const model = this.#model;
    for (const batch of splitBatches(data, model.config, model.tokensAtOnce)) {
      const { feeds, dims } = model.decoderFeeds(batch.tokens, batch);
      const masks = this.#dropout?.next(model, batch.tokens.length, this.#optimizer.steps);
      const fed = [feeds, this.#feeds, model.feeds, ...(masks ? [masks] : [])];
      const residuals = await this.#programs.forward.run(fed, dims);
      const hidden = residuals.get("hidden")!;
      const gradient = new Float32Array(hidden.data.length);
      for (const chunk of rowChunks(batch, model.rowsAtOnce)) {
        await this.#throughHead(data, chunk, hidden.data, gradient, add, support);
      }
      const seed = new Map([[gradientOf("hidden"), model.runtime.floats(gradient, hidden.shape)]]);
      this.#accumulate(await this.#programs.backward.run([residuals, seed, ...fed], dims), batch);
    }
  }

  /** The next pass is the first since the last update, whatever passes there were. */
  restart(): void {
    this.#dropout?.restart();
  }

  /** Frees the programs. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#programs).map((program: Program) => program.close()));
  }

  /** Head, loss and head backward of some rows; adds to the gradient with respect to the final hidden states. */
  async #throughHead(
    data: readonly Datum[],
    chunk: RowChunk,
    hidden: Float32Array,
    gradient: Float32Array,
    add: AddPart,
    support: Support,
  ): Promise<void> {
    const { runtime, config, feeds } = this.#model;
    const { hiddenSize: d, vocabSize } = config;
    const rows = chunk.tokens.length;
    const fed = [new Map([["hidden", runtime.floats(gatherRows(hidden, d, chunk.tokens), [rows, d])]]), feeds];
    const { head, headBackward } = this.#programs;
    const logprobs = (await head.run(fed, { rows })).get("logprobs")!.data;
    const ofLogits =
      support === "vocabulary"
        ? await this.#ofVocabulary(chunk, logprobs, add)
        : await this.#ofTargets(data, chunk, logprobs, add);
    const seed = new Map([[gradientOf("logits"), runtime.floats(ofLogits, [rows, vocabSize])]]);
    const results = await headBackward.run([seed, ...fed], { rows });
    scatterAdd(gradient, d, chunk.tokens, results.get(gradientOf("hidden"))!.data);
    const ofHead = results.get(gradientOf("head"));
    if (ofHead) this.#optimizer.add(config.tied ? EMBEDDINGS : HEAD, ofHead.data);
  }

  /** The gradient with respect to the logits [rows, V] that a loss of whole distributions adds. */
  async #ofVocabulary({ spans }: RowChunk, logprobs: Float32Array, add: AddPart): Promise<Float32Array> {
    const width = [this.#model.config.vocabSize];
    const gradient = this.#zeros.take(logprobs.length);
    await add(
      { spans, logprobs: perSpan(spans, logprobs, width) },
      { gradient: perSpan(spans, gradient, width), scale: 1 },
    );
    return gradient;
  }

  /** As `#ofVocabulary`, of a loss of the targets' log-probabilities; takes the place of the log-probabilities. */
  async #ofTargets(
    data: readonly Datum[],
    { spans, tokens }: RowChunk,
    logprobs: Float32Array,
    add: AddPart,
  ): Promise<Float32Array> {
    const whole = perSpan(spans, logprobs, [this.#model.config.vocabSize]);
    const targets: Tensor[] = perSpan(spans, new Float32Array(tokens.length), []);
    const gradient = perSpan(spans, this.#zeros.take(tokens.length), []);
    for (const [i, span] of spans.entries()) targetLogprobs(data[span.index]!, span, whole[i]!, targets[i]!.data);
    await add({ spans, logprobs: targets }, { gradient, scale: 1 });
    for (const [i, span] of spans.entries()) throughLogSoftmax(data[span.index]!, span, whole[i]!, gradient[i]!);
    return logprobs;
  }

  #accumulate(results: ReadonlyMap<string, { readonly data: Float32Array }>, batch: Batch): void {
    for (const [name, { data }] of results) {
      if (name === gradientOf("embeddings")) {
        const { gradient } = this.#optimizer.parameters.get(EMBEDDINGS)!;
        scatterAdd(gradient, this.#model.config.hiddenSize, batch.tokens, data);
      } else this.#optimizer.add(name.slice(gradientOf("").length), data);
    }
  }
}

import { type Datum, everyToken, rowCount } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { Span } from "../../loss/contract.ts";
import type {
  PositionRun,
  SampledSequence,
  SamplingClient,
  SamplingParams,
  Tokens,
  Waiting,
} from "../../model/contract.ts";
import type { Lora } from "../families/lora.ts";
import type { BaseModel } from "./base-model.ts";
import { type Batch, splitBatches, tokenOf } from "./batch.ts";
import { Generation } from "./generate.ts";
import { HiddenHead } from "./head.ts";
import { openCached, openForward, openHead } from "./programs.ts";
import { gatherRows, perSpan, type RowChunk, rowChunks, targetLogprobs } from "./row-chunks.ts";
import type { Feeds } from "./runtime.ts";

/** Which weights a sampler looks through: the base's alone, or with an adapter on top. */
export interface Weights {
  readonly lora: Lora | null;
  /** The adapter's matrices; other base weights of the same name give way to them. */
  readonly feeds: Feeds;
}

/** Looks and samples, without changing anything. */
export class LocalSamplingClient implements SamplingClient {
  readonly #model: BaseModel;
  readonly #weights: Weights;
  readonly #head: HiddenHead;
  readonly #generation: Generation;

  constructor(model: BaseModel, weights: Weights) {
    this.#model = model;
    this.#weights = weights;
    this.#head = new HiddenHead(model);
    this.#generation = new Generation(model, async () => {
      const { lora, feeds } = weights;
      const decoder = await model.program(`cached ${key(lora)}`, (machine) => openCached(machine, lora));
      return { decoder, head: await model.program("head", openHead), feeds };
    });
  }

  async sample(prompts: readonly Tokens[], params: SamplingParams, waiting?: Waiting): Promise<SampledSequence[]> {
    return this.#generation.sample(prompts, params, waiting);
  }

  async computeLogprobs(tokens: readonly Tokens[]): Promise<Float32Array[]> {
    // Of a token alone there is nothing to predict.
    const logprobs = await this.targets(tokens.filter(({ length }) => length !== 1).map((each) => everyToken(each)));
    let next = 0;
    return tokens.map(({ length }) => Float32Array.of(Number.NaN, ...(length === 1 ? [] : logprobs[next++]!.data)));
  }

  /** Per datum the log-probabilities of its positions over the whole vocabulary, [M, V]. */
  distributions(data: readonly Datum[]): Promise<Tensor[]> {
    return this.#positions(data, [this.#model.config.vocabSize], (_, logprobs, into) => into.set(logprobs.data));
  }

  /** Per datum the log-probabilities of its target tokens, [M]. */
  targets(data: readonly Datum[]): Promise<Tensor[]> {
    return this.#positions(data, [], (span, logprobs, into) => targetLogprobs(data[span.index]!, span, logprobs, into));
  }

  /**
   * Calls `visit` with all positions of all data, in runs of neighbouring ones of one datum: their final hidden states
   * [n, d], after the last norm, and log-probabilities [n, V]. Both are valid during the call only.
   */
  eachRun(data: readonly Datum[], visit: (run: PositionRun) => void): Promise<void> {
    return this.#look(data, ({ spans }, logprobs, hidden) => {
      for (const [i, { index, from }] of spans.entries()) {
        visit({ index, row: from, hidden: hidden[i]!, logprobs: logprobs[i]! });
      }
    });
  }

  /**
   * Per datum the final hidden states of its positions, after the last norm, [M, d]: what `fromHidden` takes. Each datum
   * is read alone, which costs nothing on models that matter: what is kept of it is then the same to the last bit whatever
   * else was asked about, and a run that goes on sees the reference that it saw before.
   */
  async hidden(data: readonly Datum[]): Promise<Tensor[]> {
    const { hiddenSize: d } = this.#model.config;
    const results = data.map((datum) => empty(datum, [d]));
    await this.#decode(
      data,
      async (batch, hidden) => {
        for (const [b, datum] of batch.data.entries()) {
          const tokens = Int32Array.from({ length: rowCount(datum) }, (_, i) => b * batch.length + tokenOf(datum, i));
          results[batch.indices[b]!]!.data.set(gatherRows(hidden, d, tokens));
        }
      },
      1,
    );
    return results;
  }

  /** The log-probabilities [n, V] that the model's head makes of final hidden states [n, d]. LoRA leaves the head alone. */
  fromHidden(hidden: readonly Tensor[]): Promise<Tensor[]> {
    return this.#head.fromHidden(hidden);
  }

  /** Per datum [M, …width]: what `pick` makes of log-probabilities, which are valid during the call only. */
  async #positions(
    data: readonly Datum[],
    width: readonly number[],
    pick: (span: Span, logprobs: Tensor, into: Float32Array) => void,
  ): Promise<Tensor[]> {
    const size = width[0] ?? 1;
    const results = data.map((datum) => empty(datum, width));
    await this.#look(data, ({ spans }, logprobs) => {
      for (const [i, span] of spans.entries()) {
        pick(span, logprobs[i]!, results[span.index]!.data.subarray(span.from * size, span.to * size));
      }
    });
    return results;
  }

  async #look(
    data: readonly Datum[],
    visit: (chunk: RowChunk, logprobs: readonly Tensor[], hidden: readonly Tensor[]) => void,
  ): Promise<void> {
    const model = this.#model;
    const { hiddenSize: d, vocabSize } = model.config;
    const head = await model.program("head", openHead);
    await this.#decode(data, async (batch, hidden) => {
      for (const chunk of rowChunks(batch, model.rowsAtOnce)) {
        const rows = gatherRows(hidden, d, chunk.tokens);
        const fed = new Map([["hidden", model.runtime.floats(rows, [chunk.tokens.length, d])]]);
        const out = await head.run([fed, model.feeds], { rows: chunk.tokens.length });
        const logprobs = perSpan(chunk.spans, out.get("logprobs")!.data, [vocabSize]);
        visit(chunk, logprobs, perSpan(chunk.spans, rows, [d]));
      }
    });
  }

  /** Calls `visit` with the final hidden states of every token, padding included: [batch · length, d], valid during the call only. */
  async #decode(
    data: readonly Datum[],
    visit: (batch: Batch, hidden: Float32Array) => Promise<void>,
    tokensAtOnce = this.#model.tokensAtOnce,
  ): Promise<void> {
    const { lora, feeds } = this.#weights;
    const model = this.#model;
    const decoder = await model.program(`forward ${key(lora)}`, (machine) => openForward(machine, lora));
    await model.lock(async () => {
      for (const batch of splitBatches(data, model.config, tokensAtOnce)) {
        const { feeds: fed, dims } = model.decoderFeeds(batch.tokens, batch);
        const results = await decoder.run([fed, feeds, model.feeds], dims);
        await visit(batch, results.get("hidden")!.data);
      }
    });
  }
}

function empty(datum: Datum, width: readonly number[]): Tensor {
  const count = rowCount(datum);
  return { data: new Float32Array(count * (width[0] ?? 1)), shape: [count, ...width] };
}

function key(lora: Lora | null): string {
  return JSON.stringify(lora && [...lora]);
}

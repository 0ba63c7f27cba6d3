import { type Datum, everyToken, rowCount } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { SampledSequence, SamplingClient, SamplingParams } from "../../model/legacy.ts";
import type { Lora } from "../families/decoder.ts";
import { type Batch, rowPosition, splitBatches } from "./batch.ts";
import { generate } from "./generate.ts";
import { HiddenHead } from "./head.ts";
import type { LocalModel } from "./local-model.ts";
import { type Feeds, floats } from "./program.ts";
import { openCached, openForward, openHead } from "./programs.ts";
import { gatherRows, perDatum, type RowPart, rowParts, targetLogprobs } from "./row-chunks.ts";

/** Which weights a sampler looks through: the base's alone, or with an adapter on top. */
export interface Weights {
  readonly lora: Lora | null;
  /** The adapter's matrices; other base weights of the same name give way to them. */
  readonly feeds: Feeds;
}

/** Looks and samples, without changing anything. */
export class LocalSamplingClient implements SamplingClient {
  readonly #model: LocalModel;
  readonly #weights: Weights;
  readonly #head: HiddenHead;

  constructor(model: LocalModel, weights: Weights) {
    this.#model = model;
    this.#weights = weights;
    this.#head = new HiddenHead(model);
  }

  async sample(
    prompts: readonly (readonly number[] | Int32Array)[],
    params: SamplingParams,
  ): Promise<SampledSequence[]> {
    const { lora, feeds } = this.#weights;
    const { config, threads } = this.#model;
    const decoder = await this.#model.program(`cached ${key(lora)}`, () => openCached(config, lora, threads));
    const head = await this.#model.program("head", () => openHead(config, threads));
    return this.#model.alone(() => generate(this.#model, { decoder, head, feeds }, prompts, params));
  }

  async computeLogprobs(tokens: readonly (readonly number[] | Int32Array)[]): Promise<Float32Array[]> {
    // Of a token alone there is nothing to predict.
    const logprobs = await this.targets(tokens.filter(({ length }) => length !== 1).map((each) => everyToken(each)));
    let next = 0;
    return tokens.map(({ length }) => Float32Array.of(Number.NaN, ...(length === 1 ? [] : logprobs[next++]!.data)));
  }

  distributions(data: readonly Datum[]): Promise<readonly Tensor[]> {
    const width = this.#model.config.vocabSize;
    return this.#rows(data, [width], (_, logprobs) => logprobs.data);
  }

  /** Per datum the log-probabilities of its target tokens, [M]. */
  targets(data: readonly Datum[]): Promise<Tensor[]> {
    return this.#rows(data, [], (datum, logprobs) => targetLogprobs(datum, logprobs).data);
  }

  /**
   * Calls `visit` with all rows of all data, in runs of neighbouring rows of one datum: their final hidden states [n, d],
   * after the last norm, and log-probabilities [n, V]. Both are valid during the call only.
   */
  eachRun(
    data: readonly Datum[],
    visit: (run: { index: number; row: number; hidden: Tensor; logprobs: Tensor }) => void,
  ): Promise<void> {
    return this.#look(data, (part, logprobs, hidden) => {
      for (const [i, { index, row }] of part.from.entries()) {
        visit({ index, row, hidden: hidden[i]!, logprobs: logprobs[i]! });
      }
    });
  }

  /** Per datum the final hidden states of its rows, after the last norm, [M, d]: what `fromHidden` makes distributions of. */
  async hidden(data: readonly Datum[]): Promise<Tensor[]> {
    const { hiddenSize: d } = this.#model.config;
    const results = data.map((datum) => ({
      data: new Float32Array(rowCount(datum) * d),
      shape: [rowCount(datum), d],
    }));
    await this.#decode(data, async (batch, hidden) => {
      for (const [b, datum] of batch.data.entries()) {
        const tokens = Int32Array.from(
          { length: rowCount(datum) },
          (_, row) => b * batch.length + rowPosition(datum, row),
        );
        results[batch.indices[b]!]!.data.set(gatherRows(hidden, d, tokens));
      }
    });
    return results;
  }

  /** The log-probabilities [n, V] that the model's head makes of final hidden states [n, d]. LoRA leaves the head alone. */
  fromHidden(hidden: readonly Tensor[]): Promise<Tensor[]> {
    return this.#head.fromHidden(hidden);
  }

  /** Per datum [M, …width]: what `pick` makes of its rows' log-probabilities, which are valid during the call only. */
  async #rows(
    data: readonly Datum[],
    width: readonly number[],
    pick: (datum: Datum, logprobs: Tensor) => Float32Array,
  ) {
    const size = width[0] ?? 1;
    const results = data.map((datum) => ({
      data: new Float32Array(rowCount(datum) * size),
      shape: [rowCount(datum), ...width],
    }));
    await this.#look(data, (part, logprobs) => {
      for (const [i, { index, row }] of part.from.entries()) {
        results[index]!.data.set(pick(part.data[i]!, logprobs[i]!), row * size);
      }
    });
    return results;
  }

  async #look(
    data: readonly Datum[],
    visit: (part: RowPart, logprobs: readonly Tensor[], hidden: readonly Tensor[]) => void,
  ): Promise<void> {
    const model = this.#model;
    const { config, threads } = model;
    const head = await model.program("head", () => openHead(config, threads));
    await this.#decode(data, async (batch, hidden) => {
      for (const part of rowParts(batch, model.rowsAtOnce)) {
        const rows = gatherRows(hidden, config.hiddenSize, part.tokens);
        const fed = new Map([["hidden", floats(rows, [part.tokens.length, config.hiddenSize])]]);
        const out = await head.run([fed, model.feeds], { rows: part.tokens.length });
        const from = part.from.map(({ index, row }) => ({ index: batch.indices[index]!, row }));
        const logprobs = out.get("logprobs")!.data as Float32Array;
        visit(
          { ...part, from },
          perDatum(part.data, logprobs, config.vocabSize),
          perDatum(part.data, rows, config.hiddenSize),
        );
      }
    });
  }

  /** Calls `visit` with the final hidden states of every token, padding included: [batch · length, d], valid during the call only. */
  async #decode(data: readonly Datum[], visit: (batch: Batch, hidden: Float32Array) => Promise<void>): Promise<void> {
    const { lora, feeds } = this.#weights;
    const model = this.#model;
    const { config, threads } = model;
    const decoder = await model.program(`forward ${key(lora)}`, () => openForward(config, lora, threads));
    await model.alone(async () => {
      for (const batch of splitBatches(data, config, model.tokensAtOnce)) {
        const { feeds: batchFeeds, dims } = model.batchFeeds(batch);
        const { hidden } = Object.fromEntries(await decoder.run([batchFeeds, feeds, model.feeds], dims));
        await visit(batch, hidden!.data as Float32Array);
      }
    });
  }
}

function key(lora: Lora | null): string {
  return JSON.stringify(lora);
}

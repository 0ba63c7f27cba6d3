import { UserError } from "../../common/errors.ts";
import { createRandom, type Random } from "../../common/random.ts";
import type { SampledSequence, SamplingParams, Tokens } from "../../model/contract.ts";
import type { ModelConfig } from "../families/model-config.ts";
import type { BaseModel } from "./base-model.ts";
import type { Program } from "./program.ts";
import { gatherRows } from "./row-chunks.ts";
import type { Feeds } from "./runtime.ts";

/** What generation runs: a decoder with a cache and a head, over given weights. */
export interface Generator {
  readonly decoder: Program;
  readonly head: Program;
  readonly feeds: Feeds;
}

/** Prompts that run together; more would gain little and cost memory. */
const PROMPTS_AT_ONCE = 64;

/** Draws one continuation per prompt, prompts of like length together. Deterministic in the seed. */
export async function generate(
  model: BaseModel,
  generator: Generator,
  prompts: readonly Tokens[],
  params: SamplingParams,
): Promise<SampledSequence[]> {
  checkParams(params);
  for (const [i, prompt] of prompts.entries()) checkPrompt(prompt, i, params, model.config);
  const order = prompts.map((_, i) => i).sort((a, b) => prompts[a]!.length - prompts[b]!.length);
  const results = new Array<SampledSequence>(prompts.length);
  for (let from = 0; from < order.length; from += PROMPTS_AT_ONCE) {
    const part = order.slice(from, from + PROMPTS_AT_ONCE);
    // Each prompt has a random stream of its own, so that its continuation does not depend on its company.
    const randoms = part.map((i) => createRandom((params.seed ?? 0) * 1_000_003 + i));
    const sequences = await continueAll(
      model,
      generator,
      part.map((i) => prompts[i]!),
      params,
      randoms,
    );
    for (const [k, i] of part.entries()) results[i] = sequences[k]!;
  }
  return results;
}

/** Left-pads the prompts, reads them in one pass, then one token of each at a time until all have stopped. */
async function continueAll(
  model: BaseModel,
  { decoder, head, feeds }: Generator,
  prompts: readonly Tokens[],
  { max_tokens, temperature = 1, stop = [] }: SamplingParams,
  randoms: readonly Random[],
): Promise<SampledSequence[]> {
  const { config, runtime } = model;
  const batch = prompts.length;
  const width = Math.max(...prompts.map((prompt) => prompt.length));
  const starts = prompts.map((prompt) => width - prompt.length);
  const drawn = prompts.map(() => ({ tokens: [] as number[], logprobs: [] as number[], stopped: false }));
  let input = prompts.flatMap((prompt, b) => [...new Array<number>(starts[b]!).fill(0), ...prompt]);
  let cache = emptyCache(model, batch);
  for (let past = 0, step = 0; step < max_tokens && !drawn.every(({ stopped }) => stopped); step++) {
    const length = input.length / batch;
    const { feeds: fed, dims } = model.decoderFeeds(input, { starts, length, past });
    const present = await decoder.run([fed, cache, feeds, model.feeds], dims);
    const last = Int32Array.from(prompts, (_, b) => (b + 1) * length - 1);
    const rows = gatherRows(present.get("hidden")!.data, config.hiddenSize, last);
    const hidden = new Map([["hidden", runtime.floats(rows, [batch, config.hiddenSize])]]);
    const logprobs = (await head.run([hidden, model.feeds], { rows: batch })).get("logprobs")!.data;
    input = drawn.map((sequence, b) => {
      if (sequence.stopped) return 0;
      const row = logprobs.subarray(b * config.vocabSize, (b + 1) * config.vocabSize);
      for (const id of model.idsWithoutToken) row[id] = Number.NEGATIVE_INFINITY;
      const token = temperature === 0 ? greatest(row) : draw(row, temperature, randoms[b]!());
      sequence.tokens.push(token);
      sequence.logprobs.push(row[token]!);
      sequence.stopped = stop.includes(token);
      return token;
    });
    past += length;
    cache = new Map([...present].map(([name, tensor]) => [name.replace("present.", "past."), tensor]));
  }
  return drawn.map(({ tokens, logprobs, stopped }) => ({
    tokens: Int32Array.from(tokens),
    logprobs: Float32Array.from(logprobs),
    stop_reason: stopped ? "stop" : "length",
  }));
}

function checkParams({ max_tokens, temperature = 1 }: SamplingParams): void {
  if (!(Number.isInteger(max_tokens) && max_tokens >= 1)) {
    throw new UserError(`max_tokens is ${max_tokens}, expected a whole number of at least 1.`);
  }
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new UserError(`temperature is ${temperature}, expected a finite number of at least 0; 0 is greedy.`);
  }
}

function checkPrompt(
  prompt: Tokens,
  index: number,
  { max_tokens }: SamplingParams,
  { maxPositions, vocabSize }: ModelConfig,
) {
  if (prompt.length === 0) {
    throw new UserError(`prompt ${index} is empty; give at least one token, such as the model's BOS.`);
  }
  // The last token drawn is never read.
  if (prompt.length + max_tokens > maxPositions + 1) {
    throw new UserError(
      `prompt ${index} has ${prompt.length} tokens and max_tokens is ${max_tokens}, the model reads at most ${maxPositions}; ask for fewer.`,
    );
  }
  for (const token of prompt) {
    if (!(Number.isInteger(token) && token >= 0 && token < vocabSize)) {
      throw new UserError(
        `prompt ${index} holds token ${token}, expected a token id from 0 to ${vocabSize - 1}; was it tokenized for another model?`,
      );
    }
  }
}

function emptyCache({ config, runtime }: BaseModel, batch: number): Feeds {
  const empty = runtime.floats(new Float32Array(0), [batch, config.kvHeads, 0, config.headDim]);
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  return new Map(layers.flatMap((layer) => ["key", "value"].map((what) => [`past.${layer}.${what}`, empty] as const)));
}

function greatest(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

/** Inverse transform sampling from softmax(logprobs / temperature). */
function draw(logprobs: Float32Array, temperature: number, uniform: number): number {
  const most = greatest(logprobs);
  const max = logprobs[most]!;
  let total = 0;
  for (const logprob of logprobs) total += Math.exp((logprob - max) / temperature);
  let rest = uniform * total;
  for (let i = 0; i < logprobs.length; i++) {
    rest -= Math.exp((logprobs[i]! - max) / temperature);
    if (rest < 0) return i;
  }
  return most;
}

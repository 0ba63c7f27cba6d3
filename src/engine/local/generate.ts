import { UserError } from "../../common/errors.ts";
import { greatest } from "../../common/extremes.ts";
import { createRandom, type Random } from "../../common/random.ts";
import type { SampledSequence, SamplingParams, Tokens, Waiting } from "../../model/contract.ts";
import type { ModelConfig } from "../families/model-config.ts";
import type { BaseModel } from "./base-model.ts";
import { KeyValueCache } from "./key-value-cache.ts";
import { pickToken } from "./pick-token.ts";
import type { Program } from "./program.ts";
import { gatherRows } from "./row-chunks.ts";
import type { Feeds } from "./runtime.ts";

/** What generation runs: a decoder with a cache and a head, over given weights. */
export interface Generator {
  readonly decoder: Program;
  readonly head: Program;
  readonly feeds: Feeds;
}

/** Sequences that are drawn together; more would gain little and cost memory. */
const SEQUENCES_AT_ONCE = 64;
/** Numbers in keys and values: 1 GB. */
const CACHE_AT_ONCE = 1 << 28;

/** A sequence that is asked for, and what was drawn of it. */
interface Request {
  readonly prompt: Tokens;
  readonly params: SamplingParams;
  readonly random: Random;
  readonly tokens: number[];
  readonly logprobs: number[];
  readonly signal: AbortSignal | undefined;
  /** Called with how many tokens more are done of those that were asked for. */
  readonly onDone: (tokens: number) => void;
  readonly resolve: (sequence: SampledSequence) => void;
  readonly reject: (cause: unknown) => void;
}

/** Requests that are drawn together, and the turn of the model's lock in which they are. */
interface Session {
  readonly waiting: Request[];
  readonly turn: number;
}

/**
 * Draws sequences for whoever asks, all side by side: requests join the sequences that are under way, and leave when they
 * are done. What is asked after something else waits for the model comes after that.
 */
export class Generation {
  readonly #model: BaseModel;
  readonly #open: () => Promise<Generator>;
  #session: Session | undefined;

  /** @param open gives what runs; asked for once a session. */
  constructor(model: BaseModel, open: () => Promise<Generator>) {
    this.#model = model;
    this.#open = open;
  }

  /** One continuation per prompt. Deterministic in the seed, whatever else is drawn beside it. */
  async sample(
    prompts: readonly Tokens[],
    params: SamplingParams,
    { signal, onProgress }: Waiting = {},
  ): Promise<SampledSequence[]> {
    signal?.throwIfAborted();
    checkParams(params);
    for (const [i, prompt] of prompts.entries()) checkPrompt(prompt, i, params, this.#model.config);
    if (prompts.length === 0) return [];
    let done = 0;
    const onDone = (tokens: number) => {
      done += tokens;
      onProgress?.(done / (prompts.length * params.max_tokens));
    };
    const { waiting } = this.#joinable();
    return Promise.all(
      prompts.map(
        (prompt, i) =>
          new Promise<SampledSequence>((resolve, reject) => {
            // Each prompt has a random stream of its own, so that its continuation does not depend on its company.
            const random = createRandom((params.seed ?? 0) * 1_000_003 + i);
            waiting.push({ prompt, params, random, tokens: [], logprobs: [], signal, onDone, resolve, reject });
          }),
      ),
    );
  }

  /** The session that new requests join: the one under way, unless other work has come to wait for the model since. */
  #joinable(): Session {
    const { lock } = this.#model;
    if (this.#session && this.#session.turn === lock.asked) return this.#session;
    const session: Session = { waiting: [], turn: lock.asked + 1 };
    this.#session = session;
    void lock(async () => {
      const active: Request[] = [];
      try {
        await drawAll(this.#model, await this.#open(), session.waiting, active);
      } catch (cause) {
        for (const request of [...active, ...session.waiting.splice(0)]) request.reject(cause);
      } finally {
        if (this.#session === session) this.#session = undefined;
      }
    });
    return session;
  }
}

/** Draws until nothing is under way and nobody waits. @param active those under way, in the order of the cache's rows. */
async function drawAll(model: BaseModel, generator: Generator, waiting: Request[], active: Request[]): Promise<void> {
  const { config, runtime } = model;
  const cache = new KeyValueCache(runtime, config);
  while (active.length > 0 || waiting.length > 0) {
    giveUp(cache, waiting, active);
    const joining = admit(model, waiting, active);
    if (joining.length > 0) {
      const first = active.length;
      for (const request of joining) active.push(request);
      cache.add(joining.length);
      await pass(model, generator, cache, active, first, (request) => request.prompt);
      leave(model, cache, active);
    }
    if (active.length > 0 && joining.length === 0) {
      await pass(model, generator, cache, active, 0, ({ tokens }) => tokens.slice(-1));
      leave(model, cache, active);
    }
  }
}

/** Takes those out of the queue that there is room for: prompts of like length, which are read in one pass. */
function admit({ config, tokensAtOnce }: BaseModel, waiting: Request[], active: readonly Request[]): Request[] {
  const { layers, kvHeads, headDim } = config;
  const room = (request: Request) =>
    2 * layers * kvHeads * headDim * (request.prompt.length + request.params.max_tokens);
  let left = CACHE_AT_ONCE - Math.max(0, greatest(active.map(room))) * active.length;
  waiting.sort((a, b) => a.prompt.length - b.prompt.length);
  let count = 0;
  for (const request of waiting) {
    const rows = active.length + count;
    if (rows >= SEQUENCES_AT_ONCE) break;
    left -= room(request);
    if (rows > 0 && (left < 0 || (count + 1) * request.prompt.length > tokensAtOnce)) break;
    count++;
  }
  return waiting.splice(0, count);
}

/** Reads the next tokens of the rows from `first` on, and draws one more of each. */
async function pass(
  model: BaseModel,
  { decoder, head, feeds }: Generator,
  cache: KeyValueCache,
  active: readonly Request[],
  first: number,
  next: (request: Request) => Tokens,
): Promise<void> {
  const { config, runtime } = model;
  const rows = active.slice(first);
  const inputs = rows.map(next);
  const counts = inputs.map(({ length }) => length);
  const length = greatest(counts);
  const tokens = new Int32Array(rows.length * length);
  for (const [b, input] of inputs.entries()) tokens.set(input, b * length);
  cache.reserve(greatest(rows.map((_, b) => cache.lengths[first + b]! + counts[b]!)));
  const lengths = cache.lengths.slice(first);
  const columns = { batch: rows.length, length, cache: { lengths, columns: cache.columns } };
  const { feeds: fed, dims } = model.decoderFeeds(tokens, columns);
  const past = cache.feeds(first, active.length);
  const results = await decoder.run([fed, past, feeds, model.feeds], dims);
  cache.append(results, first, length, counts);
  const last = Int32Array.from(counts, (count, b) => b * length + count - 1);
  const states = gatherRows(results.get("hidden")!.data, config.hiddenSize, last);
  const hidden = new Map([["hidden", runtime.floats(states, [rows.length, config.hiddenSize])]]);
  const logprobs = (await head.run([hidden, model.feeds], { rows: rows.length })).get("logprobs")!.data;
  for (const [b, { params, random, ...drawn }] of rows.entries()) {
    const row = logprobs.subarray(b * config.vocabSize, (b + 1) * config.vocabSize);
    for (const id of model.idsWithoutToken) row[id] = Number.NEGATIVE_INFINITY;
    const { temperature = 1 } = params;
    const token = pickToken(row, { ...params, temperature }, temperature === 0 ? 0 : random());
    drawn.tokens.push(token);
    drawn.logprobs.push(row[token]!);
    drawn.onDone(1);
  }
}

/** Hands out the sequences that are done, and takes their rows out. */
function leave({ config }: BaseModel, cache: KeyValueCache, active: Request[]): void {
  for (let row = active.length - 1; row >= 0; row--) {
    const { tokens, logprobs, params, prompt, resolve, onDone } = active[row]!;
    const stopped = params.stop?.includes(tokens.at(-1)!) ?? false;
    const full = tokens.length >= params.max_tokens || prompt.length + tokens.length > config.maxPositions;
    if (!stopped && !full) continue;
    onDone(params.max_tokens - tokens.length);
    resolve({
      tokens: Int32Array.from(tokens),
      logprobs: Float32Array.from(logprobs),
      stop_reason: stopped ? "stop" : "length",
    });
    takeOut(row, cache, active);
  }
}

/** Takes those out whose signal was aborted. */
function giveUp(cache: KeyValueCache, waiting: Request[], active: Request[]): void {
  const gone = ({ signal, reject }: Request) => {
    if (signal?.aborted) reject(signal.reason);
    return signal?.aborted ?? false;
  };
  for (let i = waiting.length - 1; i >= 0; i--) if (gone(waiting[i]!)) waiting.splice(i, 1);
  for (let row = active.length - 1; row >= 0; row--) if (gone(active[row]!)) takeOut(row, cache, active);
}

/** The last row takes the place of the one that leaves, as it does in the cache. */
function takeOut(row: number, cache: KeyValueCache, active: Request[]): void {
  cache.remove(row);
  const moved = active.pop()!;
  if (row < active.length) active[row] = moved;
}

function checkParams({ max_tokens, temperature = 1, top_k = 1, top_p = 1 }: SamplingParams): void {
  if (!(Number.isInteger(max_tokens) && max_tokens >= 1)) {
    throw new UserError(`max_tokens is ${max_tokens}, expected a whole number of at least 1.`);
  }
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new UserError(`temperature is ${temperature}, expected a finite number of at least 0; 0 is greedy.`);
  }
  if (!(Number.isInteger(top_k) && top_k >= 1)) {
    throw new UserError(
      `top_k is ${top_k}, expected a whole number of at least 1; leave it out to draw from all tokens.`,
    );
  }
  if (!(top_p > 0 && top_p <= 1)) {
    throw new UserError(`top_p is ${top_p}, expected a number above 0 and at most 1; 1 is all tokens.`);
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

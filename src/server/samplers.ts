import { UserError } from "../common/errors.ts";
import { everyToken } from "../data/datum.ts";
import { selectTopK } from "../divergence/supports/top-k.ts";
import { encodeSampleResponse, type TopkPromptLogprobs } from "../engine/tinker/wire/sample.ts";
import type { SamplingClient } from "../model/contract.ts";
import type { Futures, Result } from "./futures.ts";
import { HttpError, type HttpRequest } from "./http.ts";
import { Once } from "./numbered.ts";
import { parseBody, sample, sampleContent } from "./requests.ts";

interface Session {
  readonly sampler: SamplingClient;
  readonly once: Once<number>;
}

/** Snapshots of one model that can be sampled at a time; a training run that samples as it goes makes many. */
const SNAPSHOTS_KEPT = 8;

/** Sampling sessions: which weights to draw from, and the drawing. */
export class Samplers {
  readonly #futures: Futures;
  readonly #sessions = new Map<string, Session>();
  readonly #snapshots = new Map<string, string[]>();
  #count = 0;
  readonly #running = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(futures: Futures) {
    this.#futures = futures;
  }

  add(id: string, sampler: SamplingClient): string {
    if (!this.#sessions.has(id)) this.#sessions.set(id, { sampler, once: new Once() });
    return id;
  }

  /** A session over a model's weights of this moment. The oldest of the model's give way. */
  addSnapshot(model: string, sampler: SamplingClient): string {
    const id = this.add(`${model}:snapshot:${this.#count++}`, sampler);
    const kept = [...(this.#snapshots.get(model) ?? []), id];
    for (const old of kept.splice(0, kept.length - SNAPSHOTS_KEPT)) this.#sessions.delete(old);
    this.#snapshots.set(model, kept);
    return id;
  }

  /** `asample`. */
  submit(request: HttpRequest): Result {
    const { sampling_session_id, seq_id } = parseBody(request, sample);
    const session = this.#sessions.get(sampling_session_id);
    if (!session)
      throw new HttpError(404, `there is no sampling session ${sampling_session_id} here (any more): create one first`);
    const { sampler, once } = session;
    // Side by side: the engine draws requests together that come while others are under way.
    const work = async () => {
      if (this.#isClosed) throw new Error("the server is closing");
      const running = draw(sampler, request);
      this.#running.add(running);
      return running.finally(() => this.#running.delete(running));
    };
    return { request_id: once.answer(seq_id, request.body, () => this.#futures.add(work())) };
  }

  /** Lets what is running end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([...this.#running]);
  }
}

async function draw(sampler: SamplingClient, request: HttpRequest): Promise<Uint8Array> {
  const { prompt, num_samples, sampling_params, prompt_logprobs, topk_prompt_logprobs } = parseBody(
    request,
    sampleContent,
  );
  const tokens = prompt.chunks.flatMap((chunk) => chunk.tokens);
  if (tokens.length === 0) throw new UserError("the prompt is empty: give at least one token");
  const { max_tokens, temperature, stop, top_k, top_p } = sampling_params;
  const seed = sampling_params.seed ?? Math.floor(Math.random() * 2 ** 31);
  const sequences = await sampler.sample(new Array(num_samples).fill(tokens), {
    max_tokens,
    temperature,
    top_p,
    ...(top_k !== -1 && { top_k }),
    seed,
    ...(stop && { stop }),
  });
  const [scored] = prompt_logprobs ? await sampler.computeLogprobs([tokens]) : [];
  const likeliest = topk_prompt_logprobs ? await topkOf(sampler, tokens, topk_prompt_logprobs) : undefined;
  return encodeSampleResponse({
    sequences,
    ...(scored && { prompt_logprobs: scored }),
    ...(likeliest && { topk_prompt_logprobs: likeliest }),
  });
}

/** What cannot be told, such as all of the first place, is token 0 at −99999. */
async function topkOf(sampler: SamplingClient, tokens: readonly number[], k: number): Promise<TopkPromptLogprobs> {
  const token_ids = new Int32Array(tokens.length * k);
  const logprobs = new Float32Array(tokens.length * k).fill(-99999);
  if (tokens.length > 1) {
    if (!sampler.distributions) throw new UserError("topk_prompt_logprobs is not supported here: leave it at 0");
    const [whole] = await sampler.distributions([everyToken(tokens)]);
    const size = whole!.shape[1]!;
    const known = Math.min(k, size);
    const top = selectTopK(whole!, known);
    for (let at = 1; at < tokens.length; at++) {
      const row = (at - 1) * known;
      token_ids.set(top.tokens.data.subarray(row, row + known), at * k);
      logprobs.set(top.logprobs.data.subarray(row, row + known), at * k);
    }
  }
  return { token_ids, logprobs, k, prompt_length: tokens.length };
}

import { z } from "zod";
import { UserError } from "../../common/errors.ts";
import { inParallel } from "../../common/parallel.ts";
import { createRandom, randomInteger } from "../../common/random.ts";
import type { PromptTopK, SampledSequence, SamplingClient, SamplingParams, Tokens } from "../../model/contract.ts";
import { UnexpectedAnswerError } from "./errors.ts";
import type { Http } from "./http.ts";
import { decodeSampleResponse, type SampleResponse } from "./wire/sample.ts";

/** Requests under way at once; more would gain nothing and cost a connection each. */
const REQUESTS_AT_ONCE = 64;

/** The log-probability of entries that hold no token. */
const UNKNOWN = -99999;

/** A sampling session of the server, and the number of its next request. */
export interface SamplingSession {
  readonly id: string;
  next: number;
}

/** Answer of the routes that open one. */
export const sessionAnswer = z.object({ sampling_session_id: z.string() });

/** Draws from whatever weights `session` gives when a call begins. */
export class RemoteSamplingClient implements SamplingClient {
  /** For messages. */
  readonly description = "a sampler on a server";
  readonly #http: Http;
  readonly #session: () => Promise<SamplingSession>;

  constructor(http: Http, session: () => Promise<SamplingSession>) {
    this.#http = http;
    this.#session = session;
  }

  async sample(
    prompts: readonly Tokens[],
    { max_tokens, temperature = 1, top_k = -1, top_p = 1, seed = 0, stop }: SamplingParams,
  ): Promise<SampledSequence[]> {
    // A seed for each prompt, so that equal prompts do not get equal continuations.
    const random = createRandom(seed);
    const seeds = prompts.map(() => randomInteger(random, 2 ** 31));
    const responses = await this.#ask(prompts, (i) => ({
      sampling_params: { max_tokens, temperature, top_k, top_p, seed: seeds[i]!, ...(stop && { stop }) },
      prompt_logprobs: false,
    }));
    return responses.map(({ sequences: [sequence] }) => {
      if (!sequence) throw new UnexpectedAnswerError("the server drew no sequence where one was asked for", "");
      return sequence;
    });
  }

  async computeLogprobs(tokens: readonly Tokens[]): Promise<Float32Array[]> {
    const responses = await this.#ask(tokens, () => ({ sampling_params: { max_tokens: 1 }, prompt_logprobs: true }));
    return responses.map(({ prompt_logprobs }, i) => {
      const [found, expected] = [prompt_logprobs?.length ?? 0, tokens[i]!.length];
      if (prompt_logprobs && found === expected) return prompt_logprobs;
      // Some servers leave out the first entry, which can only be NaN.
      if (found === expected - 1) return Float32Array.of(Number.NaN, ...(prompt_logprobs ?? []));
      throw new UnexpectedAnswerError(`the server sent ${found} prompt log-probabilities for ${expected} tokens`, "");
    });
  }

  /**
   * The k likeliest tokens at each place of each prompt of N tokens, row-major [N, k]; row 0 is undefined. What
   * `promptReference` needs of a model on a server.
   *
   * @throws UserError when the server knows fewer than k tokens at a place, as it says by token 0 at −99999.
   */
  async promptTopK(
    prompts: readonly Tokens[],
    k: number,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<readonly PromptTopK[]> {
    const settings = { sampling_params: { max_tokens: 1 }, prompt_logprobs: true, topk_prompt_logprobs: k };
    const responses = await this.#ask(prompts, () => settings, signal);
    return responses.map(({ topk_prompt_logprobs: found }, i) => {
      const places = prompts[i]!.length;
      if (found?.prompt_length !== places || found.k !== k) {
        const what = found ? `${found.k} tokens at ${found.prompt_length} places` : "no likeliest tokens";
        throw new UserError(
          `the server sent ${what} of a prompt of ${places} tokens, k is ${k}: does it support topk_prompt_logprobs?`,
        );
      }
      const { token_ids: tokens, logprobs } = found;
      const unknown = logprobs.findIndex((logprob, at) => at >= k && logprob <= UNKNOWN);
      if (unknown < 0) return { tokens, logprobs };
      const place = Math.floor(unknown / k);
      throw new UserError(
        `the server knows ${unknown - place * k} tokens at place ${place} of a prompt, k is ${k}: lower k`,
      );
    });
  }

  async #ask(
    prompts: readonly Tokens[],
    settings: (index: number) => object,
    signal?: AbortSignal,
  ): Promise<SampleResponse[]> {
    const session = await this.#session();
    return inParallel(prompts, REQUESTS_AT_ONCE, signal, async (tokens, signal, i) => {
      const body = {
        sampling_session_id: session.id,
        seq_id: session.next++,
        num_samples: 1,
        prompt: { chunks: [{ type: "encoded_text", tokens: [...tokens] }] },
        topk_prompt_logprobs: 0,
        ...settings(i),
        type: "sample",
      };
      return this.#http.message(await this.#http.submit("asample", body, signal), decodeSampleResponse, signal);
    });
  }
}

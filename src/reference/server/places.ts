import { z } from "zod";
import { UserError } from "../../common/errors.ts";
import type { PromptTopK } from "../../model/contract.ts";

/** @file The answers of a completions server for a prompt, in either of two protocols, and the top-k in them. */

/** What servers write for a log-probability of −∞, which JSON cannot: this, or null. */
const IMPOSSIBLE = -9999;
const logprob = z
  .number()
  .nullable()
  .transform((value) => value ?? IMPOSSIBLE);

const place = <T extends z.ZodType>(value: T) => z.array(z.record(z.string(), value).nullable());
/** The parts of an answer that hold it. */
export const answerSchema = z.object({
  choices: z.array(
    z.object({
      index: z.int(),
      prompt_logprobs: place(z.object({ logprob, decoded_token: z.string().nullish() })).nullish(),
      logprobs: z.object({ tokens: z.array(z.string()), top_logprobs: place(logprob).nullish() }).nullish(),
    }),
  ),
});
export type Choice = z.output<typeof answerSchema>["choices"][number];

/** One token that could stand at a position: its id, its log-probability, and its text as the server decodes it. */
export interface Entry {
  readonly token: number;
  readonly logprob: number;
  readonly text?: string | null | undefined;
}

/** The tokens known at each position of a prompt; null where nothing is before it. */
export type Places = readonly (readonly Entry[] | null)[];

/** From vLLM's `prompt_logprobs`. */
export function placesOf({ prompt_logprobs }: Choice, url: string): Places {
  if (!prompt_logprobs) {
    throw new UserError(
      `${url} answered without prompt_logprobs, which vLLM sends: for a server that scores prompts by echo and logprobs, set protocol: echo`,
    );
  }
  return prompt_logprobs.map(
    (place) =>
      place &&
      Object.entries(place).map(([id, { logprob, decoded_token }]) => ({
        token: Number(id),
        logprob,
        text: decoded_token,
      })),
  );
}

/** From `echo` with `logprobs`. */
export function echoedPlaces({ logprobs }: Choice, prompt: Int32Array, url: string): Places {
  if (!logprobs?.top_logprobs) {
    throw new UserError(
      `${url} answered without logprobs.top_logprobs: it does not score prompts by echo and logprobs; with vLLM, set protocol: vllm`,
    );
  }
  const idOf = (token: string) => {
    const id = /^token_id:(\d+)$/.exec(token)?.[1];
    if (id !== undefined) return Number(id);
    throw new UserError(
      `${url} names tokens by their texts, such as ${JSON.stringify(token)}, which several ids can share: use a server that supports return_tokens_as_token_ids`,
    );
  };
  const own = logprobs.tokens.map(idOf);
  const other = prompt.findIndex((token, i) => own[i] !== token);
  if (other >= 0) {
    throw new UserError(
      `${url} echoed token ${own[other]} where ${prompt[other]} was sent: it tokenizes prompts again; use a server that accepts token ids`,
    );
  }
  return logprobs.top_logprobs.map(
    (place) => place && Object.entries(place).map(([token, logprob]) => ({ token: idOf(token), logprob })),
  );
}

/** The k likeliest at each position, the likeliest first. */
export function toTopK(places: Places, prompt: Int32Array, k: number, url: string): PromptTopK {
  if (places.length !== prompt.length) {
    throw new UserError(
      `${url} scored ${places.length} tokens of a prompt of ${prompt.length}: use a server that accepts token ids as they are`,
    );
  }
  const tokens = new Int32Array(prompt.length * k);
  const logprobs = new Float32Array(prompt.length * k);
  for (let at = 1; at < places.length; at++) {
    // The prompt's own token comes along even where it is not among the likeliest.
    const entries = (places[at] ?? []).toSorted((a, b) => b.logprob - a.logprob).slice(0, k);
    if (entries.length < k) {
      throw new UserError(`${url} returned ${entries.length} tokens at position ${at} of a prompt, k is ${k}: lower k`);
    }
    if (entries[k - 1]!.logprob <= IMPOSSIBLE) {
      const left = entries.filter(({ logprob }) => logprob > IMPOSSIBLE).length;
      throw new UserError(
        `${url} returned only ${left} possible tokens of ${k} at position ${at} of a prompt: it filters (top-p, top-k or min-p), switch that off`,
      );
    }
    for (const [i, { token, logprob }] of entries.entries()) {
      tokens[at * k + i] = token;
      logprobs[at * k + i] = logprob;
    }
  }
  return { tokens, logprobs };
}

/** Refuses a server that decodes token ids to other texts. Single tokens may lose a space, or be part of a character, so most must agree. */
export function compareTexts(places: Places, decode: (token: number) => string, description: string): void {
  const pairs = places.flatMap((place) =>
    (place ?? []).flatMap(({ token, text }) => {
      const [there, here] = [text?.trim(), decode(token).trim()];
      return there && here && !`${there}${here}`.includes("\ufffd") ? [{ token, there, here }] : [];
    }),
  );
  const differing = pairs.filter(({ there, here }) => there !== here);
  if (differing.length <= pairs.length / 2) return;
  const { token, there, here } = differing[0]!;
  throw new UserError(
    `${description} has another tokenizer: token ${token} is ${JSON.stringify(there)} there and ${JSON.stringify(here)} here`,
  );
}

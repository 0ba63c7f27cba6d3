import { UserError } from "../../common/errors.ts";
import { inParallel } from "../../common/parallel.ts";
import type { PromptScorer } from "../prompt-reference.ts";
import { isServerAddress, SERVER_ADDRESS } from "./address.ts";
import { SERVER_DEFAULTS } from "./defaults.ts";
import { answerSchema, compareTexts, echoedPlaces, placesOf, toTopK } from "./places.ts";
import { type RequestOptions, requester } from "./request.ts";

/** Where the server is, and how to ask it. */
export interface CompletionsServerOptions extends RequestOptions {
  /** Where the server is, with or without `/v1`: `http://127.0.0.1:8000`. */
  readonly url: string;
  /** `"vllm"`: the extension `prompt_logprobs`. `"echo"`: `echo` with `logprobs`, as in the API's first version. Default `"vllm"`. */
  readonly protocol?: "vllm" | "echo" | undefined;
  /** Requests under way at once. Default 4. */
  readonly concurrency?: number | undefined;
  /** The text of a token id in this model: a server that decodes ids to other texts is refused. Default: not compared. */
  readonly decode?: ((token: number) => string) | undefined;
}

/** A server that scores prompts. */
export type CompletionsServer = Required<Pick<PromptScorer, "description" | "promptTopK">>;

/** Prompts per request: enough for a server to batch, few enough for an answer in time. */
const PROMPTS_AT_ONCE = 8;

/**
 * A server that speaks OpenAI's completions API and scores prompts, as vLLM does. Prompts are sent as token ids, several per
 * request, some requests at once; connections that fail and 429 or 5xx are tried again.
 *
 * @throws UserError for an invalid address; from `promptTopK`, with what to do: no answer, no such model, k beyond the
 * server's limit, another tokenizer, log-probabilities that were filtered.
 * @example const server = completionsServer({ url: "http://127.0.0.1:8000", model: "base", concurrency: 8 });
 * @see docs.vllm.ai, OpenAI-compatible server (`prompt_logprobs`, `--max-logprobs`)
 */
export function completionsServer(options: CompletionsServerOptions): CompletionsServer {
  const { model, protocol = SERVER_DEFAULTS.protocol, concurrency = SERVER_DEFAULTS.concurrency } = options;
  if (!isServerAddress(options.url)) {
    throw new UserError(`url is ${JSON.stringify(options.url)}, expected ${SERVER_ADDRESS}`);
  }
  const url = `${options.url.replace(/\/+$/, "").replace(/\/v1$/, "")}/v1`;
  const description = `${model} at ${url}`;
  const request = requester(url, options);
  return {
    description,
    promptTopK: async (prompts, k, { signal } = {}) => {
      const parts = Array.from({ length: Math.ceil(prompts.length / PROMPTS_AT_ONCE) }, (_, i) =>
        prompts.slice(i * PROMPTS_AT_ONCE, (i + 1) * PROMPTS_AT_ONCE),
      );
      const answers = await inParallel(parts, concurrency, signal, async (part, signal) => {
        const prompt = part.map((tokens) => [...tokens]);
        const body = { model, prompt, temperature: 1, ...HOW[protocol](k) };
        const { choices } = await request("completions", body, answerSchema, k, signal);
        const ordered = choices.toSorted((a, b) => a.index - b.index);
        if (ordered.length !== part.length) {
          throw new UserError(
            `${url} answered with ${ordered.length} choices for ${part.length} prompts: use a server that scores every prompt of a request`,
          );
        }
        return ordered.map((choice, i) => {
          const places = protocol === "vllm" ? placesOf(choice, url) : echoedPlaces(choice, part[i]!, url);
          if (options.decode) compareTexts(places, options.decode, description);
          return toTopK(places, part[i]!, k, url);
        });
      });
      return answers.flat();
    },
  };
}

const HOW = {
  vllm: (k: number) => ({ max_tokens: 1, prompt_logprobs: k }),
  echo: (k: number) => ({ max_tokens: 0, echo: true, logprobs: k, return_tokens_as_token_ids: true }),
} as const;

import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { everyToken } from "../../../src/data/datum.ts";
import type { Tokenizer } from "../../../src/data/tokenizer.ts";
import { selectTopK } from "../../../src/divergence/supports/top-k.ts";
import type { VocabularyModel } from "../../../src/model/contract.ts";

/** @file A real HTTP server with vLLM's completions API, as much of it as scores prompts, over an embedded model. */

export interface VllmOptions {
  readonly model: Pick<VocabularyModel, "distributions">;
  readonly tokenizer: Pick<Tokenizer, "decode">;
  readonly name?: string;
  /** `--max-logprobs`. Default 20. */
  readonly maxLogprobs?: number;
  /** Log-probabilities are of softmax at this temperature. Default 1. */
  readonly temperature?: number;
  /** Tokens other than so many likeliest are impossible. */
  readonly filtered?: number;
  /** What is written for the log-probability of an impossible one. Default −9999, as vLLM does. */
  readonly impossible?: number | null;
  /** The answer to the nth request, from 1, instead of the right one. */
  readonly instead?: (n: number) => Answer | "hang" | "hang up" | undefined;
  readonly apiKey?: string;
  /** Changes what is answered in the end. */
  readonly spoil?: (body: Json) => Json;
}

type Json = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly body: Json;
}

interface Running {
  readonly url: string;
  /** The bodies of the completions asked for. */
  readonly requests: Json[];
  /** The most that were under way at once. */
  readonly busiest: () => number;
  readonly server: Server;
}

const error = (status: number, message: string): Answer => ({
  status,
  body: { error: { message, type: "BadRequestError", param: null, code: status } },
});

/** Starts it; it ends with the test, or when `close` is called. */
export async function startVllm(options: VllmOptions): Promise<Running> {
  const { name = "base", maxLogprobs = 20, apiKey } = options;
  const requests: Json[] = [];
  let [underWay, busiest, count] = [0, 0, 0];

  const answer = async (request: IncomingMessage): Promise<Answer | "hang" | "hang up"> => {
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      return { status: 401, body: { error: "Unauthorized" } };
    }
    if (request.url === "/v1/models") return { status: 200, body: { object: "list", data: [{ id: name }] } };
    if (request.url !== "/v1/completions" || request.method !== "POST") {
      return { status: 404, body: { detail: "Not Found" } };
    }
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString()) as Json;
    requests.push(body);
    const other = options.instead?.(++count);
    if (other) return other;
    if (body.model !== name) return error(404, `The model \`${String(body.model)}\` does not exist.`);
    const k = (body.prompt_logprobs ?? (body.echo ? body.logprobs : 0)) as number;
    if (k > maxLogprobs) {
      return error(400, `Requested prompt logprobs of ${k}, which is greater than max allowed: ${maxLogprobs}`);
    }
    const choices = await Promise.all(
      (body.prompt as number[][]).map(async (prompt, index) => ({ index, ...(await score(prompt, k, body, options)) })),
    );
    const whole = { id: "cmpl-1", object: "text_completion", model: name, choices: choices.reverse() };
    return { status: 200, body: options.spoil ? options.spoil(whole) : whole };
  };

  const server = createServer((request, response) => {
    busiest = Math.max(busiest, ++underWay);
    response.on("close", () => underWay--);
    answer(request)
      .catch((cause: Error) => error(500, cause.message))
      .then((found) => {
        if (found === "hang") return;
        if (found === "hang up") return void request.socket.destroy();
        response.writeHead(found.status, { "content-type": "application/json" }).end(JSON.stringify(found.body));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests, busiest: () => busiest, server };
}

/** One choice of an answer. As vLLM does, a place tells its k likeliest tokens and the prompt's own. */
async function score(
  prompt: number[],
  k: number,
  body: Json,
  { model, tokenizer, temperature = 1, filtered, impossible = -9999 }: VllmOptions,
) {
  const places: (Map<number, number | null> | null)[] = [null];
  if (prompt.length > 1) {
    const [whole] = await model.distributions([everyToken(prompt)]);
    const size = whole!.shape[1]!;
    const { tokens, logprobs } = selectTopK(whole!, size, { temperature });
    for (let row = 0; row < prompt.length - 1; row++) {
      const ranked = Array.from({ length: size }, (_, rank) => {
        const possible = filtered === undefined || rank < filtered;
        return [tokens.data[row * size + rank]!, possible ? logprobs.data[row * size + rank]! : impossible] as const;
      });
      places.push(new Map(ranked.filter(([id], rank) => rank < k || id === prompt[row + 1])));
    }
  }
  if (!body.echo) {
    const prompt_logprobs = places.map(
      (place) =>
        place &&
        Object.fromEntries(
          [...place].map(([id, logprob], rank) => [
            id,
            { logprob, rank: rank + 1, decoded_token: tokenizer.decode([id], { specialTokens: true }) },
          ]),
        ),
    );
    return { text: "!", logprobs: null, finish_reason: "length", prompt_logprobs };
  }
  const written = (id: number) => (body.return_tokens_as_token_ids ? `token_id:${id}` : tokenizer.decode([id]));
  const logprobs = {
    tokens: prompt.map(written),
    token_logprobs: places.map((place, i) => place?.get(prompt[i]!) ?? null),
    top_logprobs: places.map((place) => place && Object.fromEntries([...place].map(([id, x]) => [written(id), x]))),
  };
  return { text: tokenizer.decode(prompt), logprobs, finish_reason: "length" };
}

import { z } from "zod";
import { UserError } from "../../common/errors.ts";
import { type RetryOptions, withRetries } from "../../common/retry.ts";

/** Which model to ask, and how often to try. */
export interface RequestOptions extends RetryOptions {
  /** The name of the model there. */
  readonly model: string;
  /** Sent as a bearer token. Default: none. */
  readonly apiKey?: string | undefined;
}

/** Posts, and checks the answer; `k` is what the error about a limit names. */
export type Request = <T>(
  path: string,
  body: object,
  schema: z.ZodType<T>,
  k: number,
  signal?: AbortSignal,
) => Promise<T>;

/**
 * Requests to an OpenAI-compatible server: connections that fail and 429 or 5xx are tried again, anything else is a `UserError`.
 *
 * @param url up to `/v1`.
 */
export function requester(url: string, { model, apiKey, timeout, retries, sleep }: RequestOptions): Request {
  const headers = {
    "content-type": "application/json",
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
  };
  const once = async (path: string, init: RequestInit, signal: AbortSignal) => {
    const response = await fetch(`${url}/${path}`, { headers, signal, ...init });
    const text = await response.text();
    if (response.status === 429 || response.status >= 500) {
      throw new Error(`it answered ${response.status}${detailOf(text)}`);
    }
    return { status: response.status, text };
  };
  return async (path, body, schema, k, signal) => {
    const init = { method: "POST", body: JSON.stringify(body) };
    const { status, text } = await withRetries(
      (signal) => once(path, init, signal),
      { timeout, retries, sleep },
      signal,
    ).catch((error) => {
      signal?.throwIfAborted();
      const { message, cause } = error as Error;
      const why = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : message;
      throw new UserError(`no scores from ${url} (${why}): is the server running, and is this its address?`, {
        cause: error,
      });
    });
    if (status === 401 || status === 403) {
      throw new UserError(`${url} answered ${status}${detailOf(text)}: check the API key`);
    }
    if (status === 404) {
      const served = await models(() => once("models", {}, signal ?? new AbortController().signal));
      throw new UserError(
        served === undefined || served.includes(model)
          ? `${url}/${path} does not exist there: give the address of an OpenAI-compatible server, up to /v1`
          : `${url} has no model ${JSON.stringify(model)}, it serves ${served.map((name) => JSON.stringify(name)).join(", ")}`,
      );
    }
    if (status !== 200) {
      const isLimit = /logprobs/i.test(text);
      const advice = isLimit ? `: k is ${k}, lower it, or start vLLM with --max-logprobs ${k}` : "";
      throw new UserError(`${url} answered ${status}${detailOf(text)}${advice}`);
    }
    const answer = parseJson(text);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    const [{ path: at, message }] = parsed.error.issues as [z.core.$ZodIssue];
    const found = answer === undefined ? JSON.stringify(text.slice(0, 40)) : `${at.join(".")}: ${message}`;
    throw new UserError(
      `${url}/${path} answered with something other than completions (${found}): give the address of an OpenAI-compatible server, up to /v1`,
    );
  };
}

async function models(get: () => Promise<{ status: number; text: string }>): Promise<string[] | undefined> {
  const answer = await get().catch(() => undefined);
  const parsed = z.object({ data: z.array(z.object({ id: z.string() })) }).safeParse(parseJson(answer?.text ?? ""));
  return parsed.data?.data.map(({ id }) => id);
}

/** What an error body says: `{ message }`, `{ error }`, `{ error: { message } }`, `{ detail }`, or plain text. */
function detailOf(text: string): string {
  const body = z.record(z.string(), z.unknown()).safeParse(parseJson(text)).data;
  const error = body?.error as string | { readonly message?: unknown } | undefined;
  const inner = (typeof error === "object" ? error.message : error) ?? body?.message ?? body?.detail ?? text;
  const said = (typeof inner === "string" ? inner : JSON.stringify(inner)).trim().slice(0, 300);
  return said && ` (${said.replace(/\.$/, "")})`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

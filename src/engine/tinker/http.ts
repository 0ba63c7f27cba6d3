import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { ConnectionError, errorOfStatus, OperationFailedError, UnexpectedAnswerError } from "./errors.ts";
import { retryDelay } from "./retry.ts";

export interface ConnectOptions {
  /** Where the server is, without `/api/v1`: `http://127.0.0.1:8471`. */
  readonly baseUrl: string;
  /** Sent as `X-API-Key`. A server of klamp's own needs none unless it was started with one. */
  readonly apiKey?: string;
  /** Ends every request under way, and every wait. */
  readonly signal?: AbortSignal;
  /** Waits between tries. Default: a timer. */
  readonly sleep?: (milliseconds: number, signal: AbortSignal | undefined) => Promise<unknown>;
}

/** One request may take this long. A long poll is answered earlier: Tinker's servers hold it for 30 to 40 seconds. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A server that has nothing yet should hold the poll; should it not, it is not asked in a tight loop. */
const POLL_PAUSE_MS = 100;

const future = z.object({ request_id: z.string() });
const failure = z.object({ error: z.string(), category: z.string().default("unknown") });

/** Sends requests to a Tinker server until they get through, and waits for the results it promises. */
export class Http {
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #sleep: NonNullable<ConnectOptions["sleep"]>;

  constructor(options: ConnectOptions) {
    this.#url = `${options.baseUrl.replace(/\/+$/, "")}/api/v1/`;
    this.#options = options;
    this.#sleep =
      options.sleep ?? ((milliseconds, signal) => pause(milliseconds, undefined, { ...(signal && { signal }) }));
  }

  /** Posts and checks the answer. A `Uint8Array` goes as protobuf, anything else as JSON. */
  async post<T>(path: string, body: object, schema: z.ZodType<T>): Promise<T> {
    return this.#checked(path, await this.#send(path, body), schema);
  }

  /** Posts an operation that the server promises a result for; gives the promise's id. */
  async submit(path: string, body: object): Promise<string> {
    return (await this.post(path, body, future)).request_id;
  }

  /** Waits for a JSON result. */
  async result<T>(requestId: string, schema: z.ZodType<T>): Promise<T> {
    return this.#checked("retrieve_future", await this.#retrieve(requestId), schema);
  }

  /** Waits for a protobuf result. */
  async message<T>(requestId: string, decode: (bytes: Uint8Array) => T): Promise<T> {
    const answer = await this.#retrieve(requestId);
    if (!(answer instanceof Uint8Array)) throw unexpected("retrieve_future", "JSON where protobuf was due", answer);
    return decode(answer);
  }

  async #retrieve(requestId: string): Promise<unknown> {
    for (;;) {
      const answer = await this.#send("retrieve_future", { request_id: requestId, allow_metadata_only: false });
      const failed = failure.safeParse(answer);
      if (failed.success) {
        const { error, category } = failed.data;
        throw new OperationFailedError(`the server failed at the operation (${category}): ${error}`, error);
      }
      if (!z.object({ type: z.literal("try_again") }).safeParse(answer).success) return answer;
      await this.#sleep(POLL_PAUSE_MS, this.#options.signal);
    }
  }

  #checked<T>(path: string, answer: unknown, schema: z.ZodType<T>): T {
    const parsed = schema.safeParse(answer);
    if (!parsed.success) throw unexpected(path, z.prettifyError(parsed.error), answer);
    return parsed.data;
  }

  async #send(path: string, body: object): Promise<unknown> {
    const url = this.#url + path;
    const { signal } = this.#options;
    for (let failures = 0; ; ) {
      signal?.throwIfAborted();
      const answer = await this.#once(url, body);
      if (answer.status === 200) return answer.content;
      failures = answer.status === 408 ? 0 : failures + 1;
      const delay = retryDelay(answer.status, failures);
      if (delay !== undefined) {
        if (delay > 0) await this.#sleep(delay, signal);
        continue;
      }
      const detail = detailOf(answer.content);
      if (answer.status !== "connection") throw errorOfStatus(answer.status, url, detail);
      throw new ConnectionError(
        `no answer from ${url} (${detail}): is the server running, and is this its address?`,
        detail,
      );
    }
  }

  async #once(url: string, body: object): Promise<{ status: number | "connection"; content: unknown }> {
    const { signal, apiKey } = this.#options;
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const isProtobuf = body instanceof Uint8Array;
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          accept: "application/x-protobuf, application/json",
          "content-type": isProtobuf ? "application/x-protobuf" : "application/json",
          ...(apiKey !== undefined && { "x-api-key": apiKey }),
        },
        body: isProtobuf ? new Uint8Array(body) : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      const content = new Uint8Array(await response.arrayBuffer());
      if (response.headers.get("content-type")?.includes("protobuf")) return { status: response.status, content };
      return { status: response.status, content: parsed(new TextDecoder().decode(content)) };
    } catch (error) {
      signal?.throwIfAborted();
      const { message, cause } = error as Error;
      return { status: "connection", content: cause instanceof Error && cause.message ? cause.message : message };
    }
  }
}

function unexpected(path: string, found: string, answer: unknown): UnexpectedAnswerError {
  const detail = JSON.stringify(answer)?.slice(0, 300) ?? "";
  return new UnexpectedAnswerError(`${path} was answered unexpectedly: ${found} in ${detail}`, detail);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What an error body says, FastAPI style `{ detail }` or plain. */
function detailOf(content: unknown): string {
  if (typeof content === "string") return content.slice(0, 300);
  const { data } = z.object({ detail: z.unknown() }).safeParse(content);
  const detail = data?.detail ?? content;
  return typeof detail === "string" ? detail : JSON.stringify(detail).slice(0, 300);
}

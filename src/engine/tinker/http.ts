import { z } from "zod";
import { wait, withRetries } from "../../common/retry.ts";
import { ConnectionError, errorOfStatus, OperationFailedError, TinkerError, UnexpectedAnswerError } from "./errors.ts";
import { retryDelay } from "./retry.ts";

export interface ConnectOptions {
  /** Where the server is, without `/api/v1`: `http://127.0.0.1:8471`. */
  readonly baseUrl: string;
  /** Sent as `X-API-Key`. A server of klamp's own needs none unless it was started with one. */
  readonly apiKey?: string | undefined;
  /** Ends every request under way, and every wait. */
  readonly signal?: AbortSignal | undefined;
  /** Waits between tries. Default: a timer. */
  readonly sleep?: ((milliseconds: number, signal: AbortSignal | undefined) => Promise<unknown>) | undefined;
}

/** One request may take this long. A long poll is answered earlier: Tinker's servers hold it for 30 to 40 seconds. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A server that has nothing yet should hold the poll; should it not, it is not asked in a tight loop. */
const POLL_PAUSE_MS = 100;

const future = z.object({ request_id: z.string() });
const failure = z.object({ error: z.string(), category: z.string().default("unknown") });

/**
 * Sends requests to a Tinker server until they get through, and waits for the results it promises. A call's own `signal` ends
 * it as the connection's does.
 */
export class Http {
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #sleep: NonNullable<ConnectOptions["sleep"]>;

  constructor(options: ConnectOptions) {
    this.#url = `${options.baseUrl.replace(/\/+$/, "")}/api/v1/`;
    this.#options = options;
    this.#sleep = options.sleep ?? wait;
  }

  /** Asks and checks the answer. */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return checked(path, await this.#send(path, undefined), schema);
  }

  /** Posts and checks the answer. A `Uint8Array` goes as protobuf, anything else as JSON. */
  async post<T>(path: string, body: object, schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    return checked(path, await this.#send(path, body, signal), schema);
  }

  /** Posts an operation that the server promises a result for; gives the promise's id. */
  async submit(path: string, body: object, signal?: AbortSignal): Promise<string> {
    return (await this.post(path, body, future, signal)).request_id;
  }

  /** Waits for a JSON result. */
  async result<T>(requestId: string, schema: z.ZodType<T>): Promise<T> {
    return checked("retrieve_future", await this.#retrieve(requestId), schema);
  }

  /** Waits for a protobuf result. */
  async message<T>(requestId: string, decode: (bytes: Uint8Array) => T, signal?: AbortSignal): Promise<T> {
    const answer = await this.#retrieve(requestId, signal);
    if (!(answer instanceof Uint8Array)) throw unexpected("retrieve_future", "JSON where protobuf was due", answer);
    return decode(answer);
  }

  async #retrieve(requestId: string, signal?: AbortSignal): Promise<unknown> {
    for (;;) {
      const body = { request_id: requestId, allow_metadata_only: false };
      const answer = await this.#send("retrieve_future", body, signal);
      const failed = failure.safeParse(answer);
      if (failed.success) {
        const { error, category } = failed.data;
        throw new OperationFailedError(`the server failed at the operation (${category}): ${error}`, error);
      }
      if (!z.object({ type: z.literal("try_again") }).safeParse(answer).success) return answer;
      await this.#sleep(POLL_PAUSE_MS, eitherOf(signal, this.#options.signal));
    }
  }

  async #send(path: string, body: object | undefined, own?: AbortSignal): Promise<unknown> {
    const signal = eitherOf(own, this.#options.signal);
    const options = { timeout: Number.POSITIVE_INFINITY, sleep: this.#sleep, delay };
    for (;;) {
      const answer = await withRetries((signal) => this.#once(this.#url + path, body, signal), options, signal);
      // The server ended a long poll: that is not a failure, and the count of failures starts again.
      if (answer.status !== 408) return answer.content;
    }
  }

  /** One request. @throws TinkerError for a status other than 200 and 408, and for none. */
  async #once(url: string, body: object | undefined, signal: AbortSignal): Promise<Answer> {
    const { apiKey } = this.#options;
    const isProtobuf = body instanceof Uint8Array;
    let answer: Answer;
    try {
      const response = await fetch(url, {
        method: body ? "POST" : "GET",
        headers: {
          accept: "application/x-protobuf, application/json",
          ...(body && { "content-type": isProtobuf ? "application/x-protobuf" : "application/json" }),
          ...(apiKey !== undefined && { "x-api-key": apiKey }),
        },
        ...(body && { body: isProtobuf ? new Uint8Array(body) : JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
      const content = new Uint8Array(await response.arrayBuffer());
      const isMessage = response.headers.get("content-type")?.includes("protobuf");
      answer = { status: response.status, content: isMessage ? content : parsed(new TextDecoder().decode(content)) };
    } catch (error) {
      signal.throwIfAborted();
      const { message, cause } = error as Error;
      const detail = cause instanceof Error && cause.message ? cause.message : message;
      const advice = "is the server running, and is this its address?";
      throw new ConnectionError(`no answer from ${url} (${detail}): ${advice}`, detail, "connection");
    }
    if (answer.status === 200 || answer.status === 408) return answer;
    throw errorOfStatus(answer.status, url, detailOf(answer.content));
  }
}

interface Answer {
  readonly status: number;
  readonly content: unknown;
}

function delay(error: unknown, failures: number): number | undefined {
  return error instanceof TinkerError && error.status !== undefined ? retryDelay(error.status, failures) : undefined;
}

function eitherOf(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one && other ? AbortSignal.any([one, other]) : (one ?? other);
}

/** @throws UnexpectedAnswerError for an answer of another form. */
function checked<T>(path: string, answer: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(answer);
  if (!parsed.success) throw unexpected(path, z.prettifyError(parsed.error), answer);
  return parsed.data;
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

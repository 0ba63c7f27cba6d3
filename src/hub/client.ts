import type { HubName } from "../common/hub-name.ts";
import { withRetries } from "../common/retry.ts";
import { HubAnswer, isPassing } from "./failure.ts";
import type { HubSettings } from "./settings.ts";

/** A file of a repository, as its listing tells it. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** The checksum under which the cache keeps it: SHA-256 of a large file, git's SHA-1 of a small one. */
  readonly oid: string;
}

/** How long the hub may take to begin an answer. */
const ANSWER_MS = 30_000;

/**
 * What is asked of a hub. `@huggingface/hub` asks for commits and listings; it would refuse tokens that do not begin with
 * `hf_`, which other endpoints have, and forgets the headers of a refusal, so requests go through a `fetch` of ours.
 */
export class HubClient {
  readonly #settings: HubSettings;
  readonly #signal: AbortSignal | undefined;

  constructor(settings: HubSettings, signal?: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
  }

  /** The commit that a revision is now. */
  async commit({ name, revision }: HubName): Promise<string> {
    const { modelInfo } = await import("@huggingface/hub");
    const { sha } = await this.#again(() => modelInfo({ name, revision, additionalFields: ["sha"], ...this.#how }));
    return checked(sha, /^[0-9a-f]{40}$/, `the commit of ${name}`);
  }

  /** The files at the top of a repository. */
  async files(name: string, commit: string): Promise<HubFile[]> {
    const { listFiles } = await import("@huggingface/hub");
    return this.#again(async () => {
      const files: HubFile[] = [];
      for await (const { type, path, size, oid, lfs } of listFiles({ repo: name, revision: commit, ...this.#how })) {
        if (type !== "file" || path.includes("/") || path.includes("\\")) continue;
        const sum = checked(lfs?.oid ?? oid, /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, `the checksum of ${path}`);
        files.push({ path, size: lfs?.size ?? size, oid: sum });
      }
      return files;
    });
  }

  /** The content of a file from a byte on. A hub may send all of it instead: then the status is 200. */
  content(name: string, commit: string, path: string, from: number, signal: AbortSignal): Promise<Response> {
    const url = `${this.#settings.endpoint}/${name}/resolve/${commit}/${encodeURIComponent(path)}`;
    // Compressed content has no place to go on from.
    const headers = { "accept-encoding": "identity", ...(from > 0 && { range: `bytes=${from}-` }) };
    return this.#fetch(url, { headers, signal });
  }

  get #how() {
    return { hubUrl: this.#settings.endpoint, fetch: this.#fetch };
  }

  #again<T>(work: () => Promise<T>): Promise<T> {
    const delay = (error: unknown, failures: number) =>
      isPassing(error) && failures <= 3 ? 500 * 2 ** (failures - 1) : undefined;
    return withRetries(work, { timeout: 4 * ANSWER_MS, delay }, this.#signal);
  }

  /** The token goes to the hub alone; `fetch` leaves it out where the hub redirects to another host. */
  readonly #fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { endpoint, token } = this.#settings;
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init.headers);
    headers.set("user-agent", "klamp");
    if (token && url.origin === new URL(endpoint).origin) headers.set("authorization", `Bearer ${token.secret}`);
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(timeOut("no answer", ANSWER_MS)), ANSWER_MS);
    // Until the answer begins; whoever reads it on closes it.
    const signals = [init.signal, this.#signal].filter((signal) => signal != null);
    const forward = () => over.abort(signals.find(({ aborted }) => aborted)?.reason);
    if (signals.some(({ aborted }) => aborted)) forward();
    for (const signal of signals) signal.addEventListener("abort", forward, { once: true });
    try {
      const response = await fetch(url, { ...init, headers, signal: over.signal });
      if (response.ok) return response;
      await response.body?.cancel();
      throw new HubAnswer(response);
    } finally {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", forward);
    }
  };
}

/** Why a request was given up. */
export function timeOut(what: string, milliseconds: number): Error {
  return new DOMException(`${what} for ${milliseconds / 1000} seconds`, "TimeoutError");
}

/** What becomes part of a path must be what it says. */
function checked(value: unknown, form: RegExp, what: string): string {
  if (typeof value === "string" && form.test(value)) return value;
  throw new Error(`${what} is ${JSON.stringify(value)}`);
}

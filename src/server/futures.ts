import { UserError } from "../common/errors.ts";

/** A finished operation: JSON, or protobuf bytes. */
export type Result = object | Uint8Array;

/** How long a finished result can be asked for again. */
const KEPT_MS = 30 * 60_000;

interface Future {
  readonly settled: Promise<Result>;
  finishedAt?: number;
}

/** Operations under way and their results, which may be asked for as often as a poll gets lost. */
export class Futures {
  readonly #futures = new Map<string, Future>();
  #last = 0;

  /** Keeps the outcome of `work` under a new id. A failure is an outcome too. */
  add(work: Promise<Result>): string {
    this.#forget();
    const future: Future = { settled: work.catch(failure) };
    future.settled.then(() => {
      future.finishedAt = Date.now();
    });
    const id = `${++this.#last}`;
    this.#futures.set(id, future);
    return id;
  }

  /** The outcome, once there is one; undefined for an unknown id, or one that was forgotten. */
  get(id: string): Promise<Result> | undefined {
    return this.#futures.get(id)?.settled;
  }

  #forget(): void {
    const before = Date.now() - KEPT_MS;
    for (const [id, { finishedAt = Number.POSITIVE_INFINITY }] of this.#futures) {
      if (finishedAt < before) this.#futures.delete(id);
    }
  }
}

function failure(error: unknown): Result {
  const message = error instanceof Error ? error.message : String(error);
  return { error: message, category: error instanceof UserError ? "user" : "server" };
}

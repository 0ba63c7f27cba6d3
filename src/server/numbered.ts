import { createHash } from "node:crypto";
import type { Lock } from "../common/serial.ts";
import { HttpError } from "./http.ts";

/** Accepts each number once: sent again with the same body it is the same request, with another one a conflict. */
export class Once<Id> {
  readonly #seen = new Map<Id, { digest: string; answer: string }>();

  answer(id: Id, body: Uint8Array, accept: () => string): string {
    const digest = createHash("sha256").update(body).digest("base64");
    const seen = this.#seen.get(id);
    if (seen && seen.digest !== digest)
      throw new HttpError(409, `request ${id} came before with another body: give each request a number of its own`);
    const answer = seen?.answer ?? accept();
    if (!seen) this.#seen.set(id, { digest, answer });
    return answer;
  }
}

/**
 * Runs numbered work in the order of the numbers, from 1, whatever order it arrives in: Tinker's client sends the first
 * part of a batch last. Each piece is accepted at once and waits for the numbers before it.
 */
export class Sequence {
  readonly #lock: Lock;
  readonly #waiting = new Map<number, () => void>();
  #next = 1;

  constructor(lock: Lock) {
    this.#lock = lock;
  }

  run<T>(number: number, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.#waiting.set(number, () => resolve(this.#lock(work)));
      for (let start = this.#waiting.get(this.#next); start; start = this.#waiting.get(this.#next)) {
        this.#waiting.delete(this.#next++);
        start();
      }
    });
  }
}

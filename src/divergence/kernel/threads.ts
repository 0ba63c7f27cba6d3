import { OWN_ROOM } from "./instance.ts";
import { CALLS, FAILED, INSIDE, JOB_BYTES, type Job, NEXT, OPEN, TAKEN, takeRows, wordsAt, writeJob } from "./job.ts";
import type { Machine } from "./machine.ts";
import { THREAD } from "./thread.generated.ts";
import type { Given } from "./thread.ts";

/** The little of workers that is used here, Node's and browsers'. */
interface Host {
  readonly process?: {
    getBuiltinModule?(name: "node:worker_threads"): {
      readonly Worker: new (
        code: string,
        options: { readonly eval: true; readonly workerData: Given; readonly execArgv: readonly string[] },
      ) => { on(event: "error", listener: () => void): void; unref(): void };
    };
  };
  readonly Worker: new (
    url: string,
  ) => { onerror: (event: { preventDefault(): void }) => void; postMessage(given: Given): void };
}

/** For how many seconds nothing may happen before a worker is given up: even the longest row takes some milliseconds. */
const PATIENCE = 30;

/** The workers of one machine. They are started when they are first needed, and wait from then on. */
class Threads {
  readonly #machine: Machine;
  readonly #job: number;
  readonly words: Int32Array;
  /** How many threads there are, with the caller; and how many may be, fewer once a start was refused. */
  #count = 1;
  #most = Number.POSITIVE_INFINITY;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#job = machine.reserve(JOB_BYTES / 4);
    this.words = wordsAt(machine.memory.buffer, this.#job);
  }

  /** How many rows each thread has taken so far, the caller first. */
  get taken(): number[] {
    return [...this.words.subarray(TAKEN)];
  }

  /** Computes the rows of a job. The caller works as well: nothing waits for a worker but for the rows that it has taken. */
  run(given: Omit<Job, "bytes">): void {
    const [machine, words] = [this.#machine, this.words];
    while (this.#count < Math.min(given.threads, this.#most)) this.#start();
    const job = { ...given, bytes: machine.floats.byteLength };
    writeJob(machine.floats.buffer, this.#job, job);
    Atomics.store(words, NEXT, 0);
    Atomics.store(words, FAILED, 0);
    Atomics.store(words, OPEN, 1);
    Atomics.add(words, CALLS, 1);
    Atomics.notify(words, CALLS);
    try {
      takeRows(machine, words, job, 0);
    } finally {
      Atomics.store(words, OPEN, 0);
      this.#untilAlone();
    }
    if (Atomics.load(words, FAILED) === 1) throw new Error("a thread failed, and rows of this call with it");
  }

  #untilAlone(): void {
    for (let left = PATIENCE; left > 0; ) {
      const inside = Atomics.load(this.words, INSIDE);
      if (inside === 0) return;
      left = changes(this.words, INSIDE, inside) ? PATIENCE : left - 1;
    }
    // Whoever is inside may come back and go on with this job: the next one needs other workers, and another place.
    threads.delete(this.#machine);
    throw new Error(`a thread has taken rows and not returned for ${PATIENCE} seconds: rows of this call are missing`);
  }

  #start(): void {
    const { module, memory } = this.#machine;
    const room = this.#machine.reserve(OWN_ROOM / 4);
    try {
      startWorker({ module, memory, job: this.#job, room, thread: this.#count });
      this.#count++;
    } catch {
      // A page or a process may refuse: the others, or the caller alone, do the same.
      this.#most = this.#count;
    }
  }
}

/** Starts a worker that keeps no process alive. What becomes of it matters only once it has taken rows. */
function startWorker(given: Given): void {
  const host = globalThis as unknown as Host;
  const node = host.process?.getBuiltinModule?.("node:worker_threads");
  if (node) {
    // Without the flags of this process, which are for its own program.
    const worker = new node.Worker(THREAD, { eval: true, workerData: given, execArgv: [] });
    worker.on("error", () => {});
    worker.unref();
    return;
  }
  const url = URL.createObjectURL(new Blob([THREAD], { type: "text/javascript" }));
  const worker = new host.Worker(url);
  worker.onerror = (event) => event.preventDefault();
  worker.postMessage(given);
}

/** Waits for a word to have another value, for a second. */
function changes(words: Int32Array, word: number, value: number): boolean {
  try {
    return Atomics.wait(words, word, value, 1000) !== "timed-out";
  } catch {
    // A browser's main thread may not sleep.
    const end = performance.now() + 1000;
    while (Atomics.load(words, word) === value) if (performance.now() > end) return false;
    return true;
  }
}

const threads = new Map<Machine, Threads>();

/** The threads that share the machine's memory. */
export function threadsOf(machine: Machine): Threads {
  let found = threads.get(machine);
  if (!found) {
    found = new Threads(machine);
    threads.set(machine, found);
  }
  return found;
}

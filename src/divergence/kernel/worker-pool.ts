import { OWN_ROOM } from "./instance.ts";
import {
  CALLS,
  FAILED,
  INSIDE,
  JOB_BYTES,
  NEXT,
  OPEN,
  type SharedJob,
  TAKEN,
  takeRows,
  wordsAt,
  writeJob,
} from "./shared-job.ts";
import type { WasmMemory } from "./wasm-memory.ts";
import { WORKER } from "./worker.generated.ts";
import type { WorkerInput } from "./worker.ts";

/** The parts of Node's and browsers' workers that are used here. */
interface Host {
  readonly process?: {
    getBuiltinModule?(name: "node:worker_threads"): {
      readonly Worker: new (
        code: string,
        options: { readonly eval: true; readonly workerData: WorkerInput; readonly execArgv: readonly string[] },
      ) => { on(event: "error", listener: () => void): void; unref(): void };
    };
  };
  readonly Worker: new (
    url: string,
  ) => { onerror: (event: { preventDefault(): void }) => void; postMessage(input: WorkerInput): void };
}

/** Seconds without progress after which a worker is given up: even the longest row takes some milliseconds. */
const TIMEOUT = 30;

/** The workers that share one memory. They are started when first needed, and then wait for the next job. */
class WorkerPool {
  readonly #wasm: WasmMemory;
  readonly #job: number;
  readonly words: Int32Array;
  /** The number of threads, the caller included; and the maximum, reduced when a worker cannot be started. */
  #count = 1;
  #most = Number.POSITIVE_INFINITY;

  constructor(wasm: WasmMemory) {
    this.#wasm = wasm;
    this.#job = wasm.reserve(JOB_BYTES / 4);
    this.words = wordsAt(wasm.memory.buffer, this.#job);
  }

  /** How many rows each thread has taken so far, the caller first. */
  get taken(): number[] {
    return [...this.words.subarray(TAKEN)];
  }

  /** Computes the rows of a job. The caller takes rows too, and waits only for rows that a worker has taken. */
  run(input: Omit<SharedJob, "bytes">): void {
    const [wasm, words] = [this.#wasm, this.words];
    while (this.#count < Math.min(input.threads, this.#most)) this.#start();
    const job = { ...input, bytes: wasm.floats.byteLength };
    writeJob(wasm.floats.buffer, this.#job, job);
    Atomics.store(words, NEXT, 0);
    Atomics.store(words, FAILED, 0);
    Atomics.store(words, OPEN, 1);
    Atomics.add(words, CALLS, 1);
    Atomics.notify(words, CALLS);
    try {
      takeRows(wasm, words, job, 0);
    } finally {
      Atomics.store(words, OPEN, 0);
      this.#waitForWorkers();
    }
    if (Atomics.load(words, FAILED) === 1) throw new Error("a worker thread failed: rows of this call are missing");
  }

  #waitForWorkers(): void {
    for (let left = TIMEOUT; left > 0; ) {
      const inside = Atomics.load(this.words, INSIDE);
      if (inside === 0) return;
      left = changes(this.words, INSIDE, inside) ? TIMEOUT : left - 1;
    }
    // A worker that is still inside may go on with this job later: the next job gets new workers and new memory.
    pools.delete(this.#wasm);
    throw new Error(`a worker thread has not finished its rows for ${TIMEOUT} seconds: rows of this call are missing`);
  }

  #start(): void {
    const { module, memory } = this.#wasm;
    const room = this.#wasm.reserve(OWN_ROOM / 4);
    try {
      startWorker({ module, memory, job: this.#job, room, thread: this.#count });
      this.#count++;
    } catch {
      // The page or process does not allow another worker: the present threads do the work.
      this.#most = this.#count;
    }
  }
}

/** Starts a worker that does not keep the process alive. Its errors matter only once it has taken rows. */
function startWorker(input: WorkerInput): void {
  const host = globalThis as unknown as Host;
  const node = host.process?.getBuiltinModule?.("node:worker_threads");
  if (node) {
    // Without the flags of this process, which are meant for its own program.
    const worker = new node.Worker(WORKER, { eval: true, workerData: input, execArgv: [] });
    worker.on("error", () => {});
    worker.unref();
    return;
  }
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  const worker = new host.Worker(url);
  worker.onerror = (event) => event.preventDefault();
  worker.postMessage(input);
}

/** Waits up to a second for a word to change. */
function changes(words: Int32Array, word: number, value: number): boolean {
  try {
    return Atomics.wait(words, word, value, 1000) !== "timed-out";
  } catch {
    // The main thread of a browser may not block.
    const end = performance.now() + 1000;
    while (Atomics.load(words, word) === value) if (performance.now() > end) return false;
    return true;
  }
}

const pools = new Map<WasmMemory, WorkerPool>();

/** The workers that share this memory. */
export function workerPool(wasm: WasmMemory): WorkerPool {
  let pool = pools.get(wasm);
  if (!pool) {
    pool = new WorkerPool(wasm);
    pools.set(wasm, pool);
  }
  return pool;
}

import { instantiate, type Memory, viewsOf } from "./instance.ts";
import { CALLS, FAILED, INSIDE, OPEN, readJob, takeRows, wordsAt } from "./shared-job.ts";

/** @file The program of a worker: scripts/build-kernels.mjs bundles it into a string. */

/** What a worker is given: the kernels, where the job and its own memory lie, and its thread number. */
export interface WorkerInput {
  readonly module: object;
  readonly memory: Memory;
  readonly job: number;
  readonly room: number;
  readonly thread: number;
}

function run({ module, memory, job: at, room, thread }: WorkerInput): never {
  const instance = { kernels: instantiate(module, memory, room), ...viewsOf(memory, room) };
  const words = wordsAt(memory.buffer, at);
  const work = () => {
    const job = readJob(memory.buffer, at);
    if (thread >= job.threads) return;
    if (instance.floats.byteLength < job.bytes) {
      // Makes growth of the memory by another thread visible to this one.
      memory.grow(0);
      Object.assign(instance, viewsOf(memory, room));
    }
    takeRows(instance, words, job, thread);
  };
  for (let seen = 0; ; ) {
    Atomics.wait(words, CALLS, seen);
    seen = Atomics.load(words, CALLS);
    Atomics.add(words, INSIDE, 1);
    try {
      if (Atomics.load(words, OPEN) === 1) work();
    } catch {
      Atomics.store(words, FAILED, 1);
    }
    Atomics.sub(words, INSIDE, 1);
    Atomics.notify(words, INSIDE);
  }
}

/** The parts of Node and of browsers that are used here. */
interface Host {
  readonly process?: { getBuiltinModule?(name: "node:worker_threads"): { readonly workerData: WorkerInput } };
  onmessage: (message: { readonly data: WorkerInput }) => void;
}

const host = globalThis as unknown as Host;
const node = host.process?.getBuiltinModule?.("node:worker_threads");
if (node) run(node.workerData);
host.onmessage = ({ data }) => run(data);

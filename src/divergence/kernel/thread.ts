import { instantiate, type Memory, viewsOf } from "./instance.ts";
import { CALLS, FAILED, INSIDE, OPEN, readJob, takeRows, wordsAt } from "./job.ts";

/** @file All that a worker runs, as a program of its own: scripts/build-kernels.mjs makes a string of it. */

/** What a worker is given: the kernels, where the job and its own room lie in their memory, and which thread it is. */
export interface Given {
  readonly module: object;
  readonly memory: Memory;
  readonly job: number;
  readonly room: number;
  readonly thread: number;
}

function run({ module, memory, job: at, room, thread }: Given): never {
  const instance = { kernels: instantiate(module, memory, room), ...viewsOf(memory, room) };
  const words = wordsAt(memory.buffer, at);
  const work = () => {
    const job = readJob(memory.buffer, at);
    if (thread >= job.threads) return;
    if (instance.floats.byteLength < job.bytes) {
      // Tells this thread too that the memory has grown.
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

/** What is there of Node and of browsers. */
interface Host {
  readonly process?: { getBuiltinModule?(name: "node:worker_threads"): { readonly workerData: Given } };
  onmessage: (message: { readonly data: Given }) => void;
}

const host = globalThis as unknown as Host;
const node = host.process?.getBuiltinModule?.("node:worker_threads");
if (node) run(node.workerData);
host.onmessage = ({ data }) => run(data);

import { createInterface } from "node:readline";

/**
 * @file What all contenders share: the same numbers, and a conversation with bench/divergence.ts over standard input and
 * output. Every line asked is { name, task }; every line answered is { seconds, check }.
 */

/**
 * The logits of the model and of the reference, [rows, V] each: 2·n₁ and 2·n₁ + n₂ with n₁, n₂ about normal (a sum of four
 * uniform numbers), hashes of their place.
 */
export function fill(p: Float32Array, q: Float32Array): void {
  for (let i = 0; i < p.length; i++) {
    const x = 2 * normal(2 * i);
    p[i] = x;
    q[i] = x + normal(2 * i + 1);
  }
}

/** About normal, from a hash of i: four bytes, summed and scaled. */
function normal(i: number): number {
  let h = Math.imul(i ^ (i >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  const sum = (h & 255) + ((h >>> 8) & 255) + ((h >>> 16) & 255) + (h >>> 24);
  return (sum - 510) / 147.8;
}

/** Σ|g| of the first row: tells a gradient with respect to logits from any other. */
export function sumOfFirstRow(gradient: Float32Array, vocabulary: number): number {
  let sum = 0;
  for (let i = 0; i < vocabulary; i++) sum += Math.abs(gradient[i]!);
  return sum;
}

/** [mean KL, Σ|gradient of the first row|], or less. */
type Check = readonly number[];

interface Local {
  readonly name: string;
  readonly version: string;
  /** Each does its work, which is timed, and returns what tells its result, which is not. */
  readonly tasks: Readonly<Record<string, () => (() => Check) | Promise<() => Check>>>;
}

/** Says who is here, then does what is asked. */
export async function serve(contenders: readonly Local[]): Promise<void> {
  const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  say(contenders.map(({ name, version, tasks }) => ({ name, version, tasks: Object.keys(tasks) })));
  for await (const line of createInterface({ input: process.stdin })) {
    const { name, task } = JSON.parse(line);
    const work = contenders.find((contender) => contender.name === name)!.tasks[task]!;
    const started = performance.now();
    const result = await work();
    const seconds = (performance.now() - started) / 1000;
    say({ seconds, check: result() });
  }
}

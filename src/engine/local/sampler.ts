import * as ort from "onnxruntime-node";
import { makeRandom } from "../../data/random.ts";
import { UserError } from "../../errors.ts";
import type { SampledSequence, SamplingParams } from "../contract.ts";
import { attentionLayout } from "./batch.ts";
import type { ModelConfig } from "./model-folder.ts";
import type { Feeds, Program } from "./program.ts";

/** What generation runs: a trunk with a cache and a head, over given weights. */
export interface Generator {
  readonly config: ModelConfig;
  readonly trunk: Program;
  readonly head: Program;
  readonly feeds: readonly Feeds[];
}

type Tokens = readonly number[] | Int32Array;

/** Prompts that run together; more would gain little and cost memory. */
const PROMPTS_AT_ONCE = 64;

/** Draws one continuation per prompt, prompts of like length together. Deterministic in the seed. */
export async function generate(
  generator: Generator,
  prompts: readonly Tokens[],
  params: SamplingParams,
): Promise<SampledSequence[]> {
  const { maxPositions } = generator.config;
  prompts.forEach((prompt, i) => {
    if (prompt.length === 0)
      throw new UserError(`prompt ${i} is empty: give at least one token, such as the model's BOS`);
    if (prompt.length + params.max_tokens > maxPositions + 1) {
      throw new UserError(
        `prompt ${i} has ${prompt.length} tokens and max_tokens is ${params.max_tokens}; the model reads at most ${maxPositions}: ask for fewer`,
      );
    }
  });
  const order = prompts.map((_, i) => i).sort((a, b) => prompts[a]!.length - prompts[b]!.length);
  const results = new Array<SampledSequence>(prompts.length);
  for (let from = 0; from < order.length; from += PROMPTS_AT_ONCE) {
    const part = order.slice(from, from + PROMPTS_AT_ONCE);
    // Each prompt has a random stream of its own, so that its continuation does not depend on its company.
    const randoms = part.map((i) => makeRandom((params.seed ?? 0) * 1_000_003 + i));
    const sequences = await generatePart(
      generator,
      part.map((i) => prompts[i]!),
      params,
      randoms,
    );
    part.forEach((i, k) => {
      results[i] = sequences[k]!;
    });
  }
  return results;
}

async function generatePart(
  { config, trunk, head, feeds: shared }: Generator,
  prompts: readonly Tokens[],
  { max_tokens, temperature = 1, stop = [] }: SamplingParams,
  randoms: readonly (() => number)[],
): Promise<SampledSequence[]> {
  const batch = prompts.length;
  const width = Math.max(...prompts.map((prompt) => prompt.length));
  const starts = prompts.map((prompt) => width - prompt.length);
  const tokens: number[][] = prompts.map(() => []);
  const logprobs: number[][] = prompts.map(() => []);
  const stopped = new Array<boolean>(batch).fill(false);
  let input = BigInt64Array.from(
    prompts.flatMap((prompt, b) => [...Array<number>(starts[b]!).fill(0), ...prompt]),
    BigInt,
  );
  let past = 0;
  let cache: Feeds = emptyCache(config, batch);
  while (true) {
    const time = input.length / batch;
    const { feeds, dims } = attentionLayout(config, { batch, time, past, starts });
    feeds.set("tokens", new ort.Tensor("int64", input, [input.length]));
    feeds.set(
      "rows",
      new ort.Tensor(
        "int64",
        BigInt64Array.from(prompts, (_, b) => BigInt((b + 1) * time - 1)),
        [batch],
      ),
    );
    const present = await trunk.run([feeds, cache, ...shared], { ...dims, R: batch });
    const hidden = new Map([["hidden", present.get("hidden")!]]);
    const distribution = (await head.run([hidden, ...shared], { R: batch })).get("logprobs")!.data as Float32Array;
    input = new BigInt64Array(batch);
    for (let b = 0; b < batch; b++) {
      if (stopped[b]) continue;
      const row = distribution.subarray(b * config.vocabSize, (b + 1) * config.vocabSize);
      const token = temperature === 0 ? argmax(row) : draw(row, temperature, randoms[b]!());
      tokens[b]!.push(token);
      logprobs[b]!.push(row[token]!);
      stopped[b] = stop.includes(token);
      input[b] = BigInt(token);
    }
    if (stopped.every(Boolean) || tokens[stopped.indexOf(false)]!.length === max_tokens) break;
    past += time;
    cache = new Map([...present].map(([name, tensor]) => [name.replace("present.", "past."), tensor]));
  }
  return prompts.map((_, b) => ({
    tokens: Int32Array.from(tokens[b]!),
    logprobs: Float32Array.from(logprobs[b]!),
    stop_reason: stopped[b] ? "stop" : "length",
  }));
}

function emptyCache(config: ModelConfig, batch: number): Feeds {
  const empty = () => new ort.Tensor("float32", new Float32Array(0), [batch, config.kvHeads, 0, config.headDim]);
  const entries = Array.from({ length: config.layers }, (_, layer) => [
    `past.${layer}.key`,
    `past.${layer}.value`,
  ]).flat();
  return new Map(entries.map((name) => [name, empty()]));
}

function argmax(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

/** Inverse transform sampling from softmax(logprobs / temperature). */
function draw(logprobs: Float32Array, temperature: number, uniform: number): number {
  const max = logprobs[argmax(logprobs)]!;
  let total = 0;
  for (const lp of logprobs) total += Math.exp((lp - max) / temperature);
  let rest = uniform * total;
  for (let i = 0; i < logprobs.length; i++) {
    rest -= Math.exp((logprobs[i]! - max) / temperature);
    if (rest < 0) return i;
  }
  return argmax(logprobs);
}

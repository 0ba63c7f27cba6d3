import { totalmem } from "node:os";
import { UserError } from "../common/errors.ts";
import type { Config } from "../config/schema.ts";
import { sourcesOf } from "../config/text.ts";
import type { Batches } from "../data/batches.ts";
import { type Datum, everyToken, rowCount } from "../data/datum.ts";
import type { Question } from "../data/questions.ts";
import { klDivergence } from "../divergence/kl-divergence.ts";
import type { EvaluationPlan } from "../drift/evaluation.ts";
import { crossEntropyLoss } from "../loss/cross-entropy.ts";
import { backward } from "../model/backward.ts";
import type { ModelFacts, SamplingClient, TrainingClient } from "../model/contract.ts";

/** What a run will cost, as measured on this machine before it. */
export interface Costs {
  readonly steps: number;
  /** Tokens that the model reads: of the data and of anchors, in a step on average and in all. */
  readonly tokens: { readonly data: number; readonly anchors: number; readonly all: number };
  readonly seconds: {
    /** Drawing samples and measuring the base. */
    readonly before: number;
    readonly training: number;
    /** Measuring the trained model. */
    readonly after: number;
  };
  /** The most that the process will take, in bytes. */
  readonly memory: number;
  /** What checkpoints and adapter take, in bytes. */
  readonly disk: number;
}

/** What is to be done. */
export interface Work {
  readonly config: Config;
  readonly client: TrainingClient;
  readonly base: SamplingClient;
  readonly model: ModelFacts;
  readonly batches: Batches<Datum>;
  readonly data: readonly Datum[];
  readonly steps: number;
  readonly plan: EvaluationPlan;
  /** Whether the base is still to be measured. */
  readonly measuresBase: boolean;
  /** Bytes of the run folder. */
  readonly disk: number;
}

/** The most batches that are looked at. */
const MOST_BATCHES = 1000;
/** Sequences that are drawn side by side. */
const SIDE_BY_SIDE = 64;
/** A long pass is measured once, a short one again when everything is warm. */
const LONG_SECONDS = 1.5;

/**
 * Measures one pass over a batch and over an anchor, one look of the base at texts and a few sampled tokens, and counts
 * how often a run does each. The client's state is as it was afterwards. Null for an engine whose work is not done here.
 */
export async function estimateCosts(work: Work): Promise<Costs | null> {
  const { client, config, batches, steps, plan, base, model } = work;
  if (!client.state || !client.vocabulary || !base.hidden || !base.fromHidden) return null;
  const state = await client.state.read();
  const [typical, longest, mean] = look(batches, steps);
  const anchors = anchorsOf(config);
  // The longest first: it takes the most memory, and everything is opened and warm for those that are timed.
  await backward(client, longest, crossEntropyLoss());
  const pass = (data: readonly Datum[]) => timed(() => backward(client, data, crossEntropyLoss()));
  let step = (await pass(typical)) * (mean / padded(typical));
  let [perRow, perToken, anchorTokens] = [0, 0, 0];
  for (const anchor of anchors) {
    const texts = anchor.tokens === null ? typical : randomTexts(anchor, model);
    step += await pass(texts);
    anchorTokens += padded(texts);
  }
  const regularized = config.regularizers.filter((each) => "text" in each);
  if (regularized.length > 0) {
    const texts = anchors[0]?.tokens ? randomTexts(anchors[0], model) : typical;
    const rows = texts.reduce((sum, datum) => sum + rowCount(datum), 0);
    let hidden = await base.hidden(texts);
    perToken = (await timed(async () => (hidden = await base.hidden!(texts)))) / padded(texts);
    const divergence = async () => {
      for (const each of await base.fromHidden!(hidden)) klDivergence.withGradient(each, each, {});
    };
    perRow = (await timed(divergence)) / rows;
    const own = regularized.reduce(
      (sum, { text }) => sum + (sourcesOf(text).includes("completions") ? rowsOf(typical) : 0),
      0,
    );
    step += perRow * (own + anchorTokens);
  }
  await client.state.write(state);

  const draw = await sampling(base, plan, largestDraw(work, anchors));
  const drawnAnchors = anchors.reduce((sum, { samples, tokens, redrawn }) => {
    return (
      sum +
      (samples === 0 ? 0 : draw(samples, tokens!) * (1 + (redrawn === null ? 0 : Math.floor((steps - 1) / redrawn))))
    );
  }, 0);
  const firstLooks = perToken * tokensOnce(work, anchors);
  const { max_tokens, drift_samples, every, items } = config.evaluate;
  const questions = [...(plan.task ? [plan.task] : []), ...(plan.skills?.values() ?? [])].flat();
  const answered = draw(questions.length, meanAnswer(questions, max_tokens));
  const look2 = (tokens: number) => 2 * tokens * lookSeconds(step, mean + anchorTokens);
  const validation = plan.validation ?? [];
  const evaluation = answered + look2(drift_samples * max_tokens) + look2(padded(validation));
  const within =
    every === null
      ? 0
      : Math.floor(steps / every) *
        (look2(Math.min(items, drift_samples) * max_tokens) + look2(padded(validation.slice(0, items))));
  return {
    steps,
    tokens: { data: mean, anchors: anchorTokens, all: steps * (mean + anchorTokens) },
    seconds: {
      before: drawnAnchors + draw(drift_samples, max_tokens) + (work.measuresBase ? evaluation : 0),
      training: steps * step + firstLooks + within,
      after: evaluation,
    },
    memory: await peakMemory(work, state, anchors),
    disk: work.disk,
  };
}

/** @throws UserError when a run needs more memory than there is. */
export function checkMemory({ memory }: Costs): void {
  const there = memoryThere();
  if (memory <= there) return;
  throw new UserError(
    `the run needs about ${gigabytes(memory)} of memory, this machine has ${gigabytes(there)}: lower train.batch_size or data.max_length, or take a smaller model`,
  );
}

/** The costs in words. */
export function costLines({ steps, tokens, seconds, memory, disk }: Costs): string {
  const whole = (n: number) => Math.round(n).toLocaleString("en-US");
  const { before, training, after } = seconds;
  const anchors = tokens.anchors > 0 ? ` and ${whole(tokens.anchors)} of anchors` : "";
  return [
    `${whole(steps)} steps of ${whole(tokens.data)} tokens${anchors}, ${whole(tokens.all)} in all`,
    `about ${duration(before + training + after)}: ${duration(before)} before, ${duration(training)} training, ${duration(after)} measuring`,
    `memory up to ${gigabytes(memory)} of ${gigabytes(memoryThere())}, disk ${Math.ceil(disk / 1e6)} MB`,
  ].join("\n");
}

interface AnchorCost {
  readonly batchSize: number;
  /** Of each text; null for texts of a file, which are taken to be like the data. */
  readonly tokens: number | null;
  /** How many are drawn. */
  readonly samples: number;
  /** Every so many steps anew. */
  readonly redrawn: number | null;
}

function anchorsOf({ regularizers }: Config): AnchorCost[] {
  return regularizers.flatMap((settings) => {
    if (!("text" in settings)) return [];
    return sourcesOf(settings.text).flatMap((source): AnchorCost[] => {
      if (source === "completions") return [];
      if ("file" in source) return [{ batchSize: source.batch_size, tokens: null, samples: 0, redrawn: null }];
      const { samples, batch_size, max_tokens, refresh_every } = source;
      return [{ batchSize: Math.min(batch_size, samples), tokens: max_tokens, samples, redrawn: refresh_every }];
    });
  });
}

/** A batch like most, the longest one, and how many tokens a batch has on average, padding included. */
function look(
  batches: Batches<Datum>,
  steps: number,
): [typical: readonly Datum[], longest: readonly Datum[], mean: number] {
  const seen = Array.from({ length: Math.min(steps, MOST_BATCHES) }, (_, i) => {
    const batch = batches.at(i + 1);
    return { batch, tokens: padded(batch) };
  }).sort((a, b) => a.tokens - b.tokens);
  const mean = seen.reduce((sum, { tokens }) => sum + tokens, 0) / seen.length;
  return [seen[seen.length >> 1]!.batch, seen.at(-1)!.batch, mean];
}

/** Tokens of a batch that is padded to its longest text. */
function padded(batch: readonly Datum[]): number {
  return batch.length * Math.max(0, ...batch.map(({ modelInput }) => modelInput.length));
}

function rowsOf(batch: readonly Datum[]): number {
  return batch.reduce(
    (sum, { lossInputs }) => sum + lossInputs.weights.data.filter((weight) => weight !== 0).length,
    0,
  );
}

function randomTexts({ batchSize, tokens }: AnchorCost, { vocabSize, maxPositions }: ModelFacts): Datum[] {
  const length = Math.min(tokens!, maxPositions) + 1;
  // Which tokens they are costs nothing; different ones touch more of the embeddings.
  return Array.from({ length: batchSize }, (_, i) =>
    everyToken(Int32Array.from({ length }, (_, t) => (7919 * i + 31 * t) % vocabSize)),
  );
}

/** Seconds of work when everything is warm. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const once = async () => {
    const started = performance.now();
    await work();
    return (performance.now() - started) / 1000;
  };
  const first = await once();
  return first > LONG_SECONDS ? first : Math.min(first, await once());
}

/** How long drawing so many sequences of so many tokens takes. */
async function sampling(
  base: SamplingClient,
  { tokenizer }: EvaluationPlan,
  largest: number,
): Promise<(sequences: number, tokens: number) => number> {
  if (largest === 0) return () => 0;
  const start = tokenizer.bos ?? 0;
  const perToken = async (width: number) => {
    const draw = (max_tokens: number) =>
      timed(() =>
        base.sample(
          Array.from({ length: width }, () => [start]),
          { max_tokens, seed: 1 },
        ),
      );
    return Math.max(0, (await draw(7)) - (await draw(1))) / 6;
  };
  const wide = Math.min(SIDE_BY_SIDE, largest);
  const [narrow, all] = [await perToken(1), await perToken(wide)];
  return (sequences, tokens) => {
    const [full, rest] = [Math.floor(sequences / SIDE_BY_SIDE), sequences % SIDE_BY_SIDE];
    const slope = wide === 1 ? 0 : (all - narrow) / (wide - 1);
    const at = (width: number) => (width === 0 ? 0 : narrow + slope * (width - 1));
    return tokens * (full * at(SIDE_BY_SIDE) + at(rest));
  };
}

function largestDraw({ config, plan }: Work, anchors: readonly AnchorCost[]): number {
  const sets = [...(plan.task ? [plan.task] : []), ...(plan.skills?.values() ?? [])].map(({ length }) => length);
  return Math.max(config.evaluate.drift_samples, ...anchors.map(({ samples }) => samples), ...sets);
}

/** Answers are as long as the right ones, or go on to the end. */
function meanAnswer(questions: readonly Question[], most: number): number {
  if (questions.length === 0) return 0;
  const right = questions.reduce((sum, { completionTokens }) => sum + completionTokens.length, 0) / questions.length;
  return (Math.min(right, most) + most) / 2;
}

/** Tokens that the base looks at once: those of anchors, and of the data where a regularizer is on the completions. */
function tokensOnce({ config, data, steps, batches }: Work, anchors: readonly AnchorCost[]): number {
  const drawn = anchors.reduce((sum, { samples, tokens }) => sum + samples * (tokens ?? 0), 0);
  const onData = config.regularizers.some((each) => "text" in each && sourcesOf(each.text).includes("completions"));
  const met = Math.min(1, steps / batches.stepsPerEpoch);
  return drawn + (onData ? met * data.reduce((sum, { modelInput }) => sum + modelInput.length, 0) : 0);
}

/** A look is a third of a step: a pass forward, without the two backward. */
function lookSeconds(step: number, tokens: number): number {
  return step / tokens / 3;
}

/** What the process takes now that it has seen the longest batch, and what is still to come. */
async function peakMemory(
  { config, model, plan }: Work,
  state: ReadonlyMap<string, { data: Float32Array }>,
  anchors: readonly AnchorCost[],
) {
  const { max_tokens, drift_samples } = config.evaluate;
  const sets = [...(plan.task ? [plan.task] : []), ...(plan.skills?.values() ?? [])];
  const draws = [
    ...anchors.map(({ samples, tokens }) => [samples, tokens ?? 0] as const),
    [drift_samples, max_tokens] as const,
    ...sets.map((set) => [set.length, max_tokens + Math.max(0, ...set.map(({ prompt }) => prompt.length))] as const),
  ];
  const columns = (tokens: number) => 64 * Math.ceil(tokens / 64);
  const cache =
    Math.max(0, ...draws.map(([n, tokens]) => Math.min(n, SIDE_BY_SIDE) * columns(tokens))) *
    (model.cacheBytesPerToken ?? 0);
  const saved = [...state.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  return process.memoryUsage().rss + cache + saved;
}

function memoryThere(): number {
  const limit = (process as { constrainedMemory?: () => number }).constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** `0:21`, `12:05`, `1:02:03`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

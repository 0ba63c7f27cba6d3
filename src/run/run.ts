import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import { stringifyConfig } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { drawDriftSamples, type Evaluation, type EvaluationPlan, evaluate } from "../drift/evaluation.ts";
import { worstPositions, worstToken } from "../drift/worst-tokens.ts";
import { openEngine } from "../engine/open.ts";
import type { DownloadProgress } from "../hub/snapshot.ts";
import type { Engine, TrainingClient } from "../model/contract.ts";
import type { LoraOptions } from "../model/lora.ts";
import { TrainingDivergedError } from "../train/diverged.ts";
import { type StepMetrics, stepMetrics } from "../train/metrics.ts";
import { countSteps, train } from "../train/train.ts";
import { completeAdapter, describeFiles } from "./adapter-card.ts";
import { type Drawn, samplesAsLines } from "./build-anchors.ts";
import { buildRegularizers } from "./build-regularizers.ts";
import { locateSources, type Sources } from "./locate.ts";
import { engineSettings, readInput, withLora } from "./read-input.ts";
import { Stores } from "./reference-stores.ts";
import { createRunFolder, type RunFolder, refuseOutput } from "./run-folder.ts";

/** Who follows a run, and what can end it early. */
export interface RunOptions {
  /** Called with each phase of the run, and with what a user should know before the first step. */
  readonly note?: (text: string) => void;
  /** Called while a model or an adapter is downloaded from the hub. */
  readonly onDownload?: (progress: DownloadProgress) => void;
  /** Called with each step, of so many. */
  readonly onStep?: (row: StepMetrics, steps: number) => void;
  /** When aborted, the step under way is finished, and what there is is saved. */
  readonly signal?: AbortSignal;
  /** The base and what was measured of it, from an earlier run on the same model. */
  readonly before?: Pick<RunResult, "engine" | "base">;
}

/** A finished (or interrupted) run: what it measured and where it lies. */
export interface RunResult {
  /** The lines of `metrics.jsonl`. */
  readonly rows: readonly StepMetrics[];
  /** Whether the signal ended it before all steps were taken. */
  readonly interrupted: boolean;
  /** Names and digests of the files of training data. */
  readonly trainedOn: string;
  /** The configuration with everything decided. */
  readonly config: Config;
  /** The adapter that training started from: its hub name or folder, and the commit of a hub name. */
  readonly start: { readonly name: string; readonly revision: string | null } | null;
  /** Of training alone. */
  readonly seconds: number;
  /** The base, before training. */
  readonly base: Evaluation;
  /** The trained model; null when the run was interrupted. */
  readonly evaluation: Evaluation | null;
  /** Still open: close it, or hand it to the next run. */
  readonly engine: Engine;
}

/**
 * One training run, from a configuration to a run folder with `config.yaml`, `metrics.jsonl` and `adapter/`. All input
 * is read and checked before training; the folder is created when the first step is done, so that whatever is refused
 * until then leaves nothing behind.
 *
 * @throws UserError for bad input; once a step is done, the adapter as it was last measured is saved before any error.
 * The signal's reason when it aborts before the first step is done: nothing was written.
 * @example const run = await runTraining(loadConfig("config.yaml"));
 */
export async function runTraining(asked: Config, options: RunOptions = {}): Promise<RunResult> {
  const { note = () => {}, signal } = options;
  refuseOutput(asked.output);
  const sources = await locateSources(asked, options);
  const engine = options.before?.engine ?? (await openEngine(engineSettings(asked, sources)));
  let [client, stores]: [TrainingClient | undefined, Stores | undefined] = [undefined, undefined];
  let handedOver = false;
  try {
    const adapter = sources.adapter?.folder ?? null;
    const { seed } = asked.train;
    const dropout = asked.lora.dropout ?? undefined;
    const starting = adapter === null ? undefined : await engine.trainingClient({ adapter, dropout, seed });
    const config = withLora(asked, starting?.lora);
    const input = await readInput(config, sources, engine.model, note);
    client = starting ?? (await engine.trainingClient({ ...known(config.lora), seed }));
    for (const notice of engine.model.notices ?? []) note(notice);
    const trainedOn = await describeFiles(config);
    const { tokenizer } = input;
    stores = await Stores.of(engine, tokenizer, adapter);
    const base = await engine.sampler();
    const { maxPositions, vocabSize } = engine.model;
    const kept = keepSamples(tokenizer);
    const { terms, adapterPenalties, data } = await buildRegularizers(config, input.data, {
      base,
      model: client.sampler("current"),
      start: adapter === null ? undefined : await engine.sampler(adapter),
      snapshots: client.snapshots,
      openStore: (settings) => stores!.open(settings),
      tokenizer,
      vocabSize,
      maxLength: maxPositions,
      tooLong: config.data.too_long,
      note,
      signal,
      onDrawn: kept.add,
    });
    const { max_tokens, completions, drift_samples } = config.evaluate;
    const baseSamples = await drawDriftSamples(base, tokenizer, drift_samples, max_tokens);
    const plan = { ...input, maxTokens: max_tokens, completions, baseSamples };
    signal?.throwIfAborted();
    let before = options.before?.base;
    if (!before) {
      noteEvaluation(note, "the base", plan);
      before = await evaluate(base, base, plan);
    }

    const { batch_size, shuffle, report_every, worst_tokens } = config.train;
    const { learning_rate, weight_decay, grad_clip, warmup_steps, betas, eps, schedule } = config.optimizer;
    const length = { steps: config.train.steps ?? undefined, epochs: config.train.epochs ?? undefined };
    const steps = countSteps(length, Math.ceil(data.length / batch_size));
    note(`training on ${data.length} examples: ${steps} steps of ${Math.min(batch_size, data.length)}`);
    let folder = null as RunFolder | null;
    const rows: StepMetrics[] = [];
    const started = performance.now();
    const { interrupted } = await train({
      client,
      data,
      mixture: input.mixture,
      ...length,
      batchSize: batch_size,
      seed,
      shuffle,
      optimizer: {
        learningRate: learning_rate,
        weightDecay: weight_decay,
        gradClip: grad_clip,
        warmupSteps: warmup_steps,
        betas,
        eps,
        schedule,
      },
      regularizers: terms,
      adapterPenalties,
      reportEvery: report_every,
      signal,
      onStep: (result, { full, positions }) => {
        const row = stepMetrics(result);
        rows.push(row);
        folder ??= startFolder(config);
        kept.write(folder);
        folder.append("metrics.jsonl", row);
        if (full && worst_tokens > 0) {
          for (const each of worstPositions(positions, worst_tokens))
            folder.append("worst-tokens.jsonl", worstToken(row.step, each, tokenizer));
        }
        options.onStep?.(row, steps);
      },
    }).catch(async (cause: unknown) => {
      if (!folder) throw cause;
      await client!.revert?.();
      await folder.saveAdapter(client!);
      folder.close();
      throw withWhatIsSaved(cause, rows.length, folder);
    });
    const seconds = (performance.now() - started) / 1000;
    if (!folder) throw signal!.reason;
    await folder.saveAdapter(client);
    const facts = { config, model: engine.model, steps: rows.length, trainedOn, measured: null };
    completeAdapter(join(folder.path, "adapter"), sources.model.folder, facts);
    folder.close();
    if (!interrupted) noteEvaluation(note, "the trained model", plan);
    const evaluation = interrupted ? null : await evaluate(client.sampler("current"), base, plan);
    handedOver = true;
    return { rows, interrupted, config, trainedOn, start: startOf(sources), seconds, base: before, evaluation, engine };
  } finally {
    await client?.close?.();
    stores?.close();
    if (!handedOver && !options.before) await engine.close();
  }
}

/** Settings without those that are not written. */
function known(lora: Config["lora"]): LoraOptions {
  return Object.fromEntries(Object.entries(lora).filter(([, value]) => value !== null));
}

function startOf({ adapter }: Sources): RunResult["start"] {
  return adapter && { name: adapter.hub?.name ?? adapter.folder, revision: adapter.hub?.revision ?? null };
}

function startFolder(config: Config): RunFolder {
  const folder = createRunFolder(config.output);
  folder.write("config.yaml", stringifyConfig(config));
  return folder;
}

/** Samples that anchors drew, and `anchors.jsonl`, where they are kept once there is a folder. */
function keepSamples(tokenizer: Tokenizer) {
  let [lines, written] = ["", ""];
  return {
    add: (drawn: Drawn) => {
      lines += samplesAsLines(drawn, tokenizer);
    },
    write: (folder: RunFolder) => {
      if (lines !== written) folder.write("anchors.jsonl", lines);
      written = lines;
    },
  };
}

function noteEvaluation(note: (text: string) => void, who: string, plan: EvaluationPlan): void {
  const sets = [...(plan.task ? [plan.task] : []), ...(plan.skills?.values() ?? [])];
  const questions = sets.reduce((sum, { length }) => sum + length, 0);
  if (questions > 0) note(`asking ${who} ${questions} questions`);
  else if (plan.validation || plan.baseSamples?.length) note(`measuring ${who}`);
}

/** A user's mistake that came up after `taken` steps, with where it came up and what is left of the run. */
function withWhatIsSaved(cause: unknown, taken: number, { path }: RunFolder): unknown {
  if (!(cause instanceof UserError)) return cause;
  const where = cause instanceof TrainingDivergedError ? "" : `step ${taken + 1}: `;
  const what = cause.message.replace(/\.$/, "");
  const saved = `${join(path, "adapter")} holds the weights that step ${taken} measured, the last with finite results`;
  return new UserError(`${where}${what}; ${saved}.`, { cause });
}

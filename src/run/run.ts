import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { drawDriftSamples, type Evaluation, type EvaluationPlan, evaluate } from "../drift/evaluation.ts";
import { openEngine } from "../engine/open.ts";
import type { DownloadProgress } from "../hub/snapshot.ts";
import type { OptimizerOptions } from "../model/adamw.ts";
import type { Engine, TrainingClient, Waiting } from "../model/contract.ts";
import type { LoraOptions } from "../model/lora.ts";
import type { StepMetrics } from "../train/metrics.ts";
import { countSteps, train } from "../train/train.ts";
import { completeAdapter, describeFiles } from "./adapter-card.ts";
import { buildRegularizers } from "./build-regularizers.ts";
import { isEvaluated, whyOver } from "./early-stopping.ts";
import { Evaluations } from "./evaluations.ts";
import { keepSamples } from "./kept-samples.ts";
import { locateSources, type Sources } from "./locate.ts";
import { engineSettings, readInput, withLora } from "./read-input.ts";
import { Recorder } from "./recorder.ts";
import { Stores } from "./reference-stores.ts";
import { openRun } from "./resume.ts";
import { type RunFolder, refuseOutput } from "./run-folder.ts";

/** Who follows a run, and what can end it early. */
export interface RunOptions {
  /** Called with each phase of the run, and with what a user should know before the first step. */
  readonly note?: (text: string) => void;
  /** Called while a model or an adapter is downloaded from the hub. */
  readonly onDownload?: (progress: DownloadProgress) => void;
  /** Called while something long is done, with what it is and the share of it that is done. */
  readonly onProgress?: (what: string, share: number) => void;
  /** Called with each step, of so many. */
  readonly onStep?: (row: StepMetrics, steps: number) => void;
  /** When aborted, the step or phase under way ends, and what there is is saved. */
  readonly signal?: AbortSignal;
  /** The base and what was measured of it, from an earlier run on the same model. */
  readonly before?: Pick<RunResult, "engine" | "base">;
  /** Goes on with the run in the folder `output`, from its newest checkpoint. Default: a new run. */
  readonly resume?: boolean;
}

/** A finished (or interrupted) run: what it measured and where it lies. */
export interface RunResult {
  /** The lines of `metrics.jsonl`. */
  readonly rows: readonly StepMetrics[];
  /** How many steps it was to take. */
  readonly steps: number;
  /** The step whose adapter it gives; null where that is the last one. */
  readonly bestStep: number | null;
  /** Whether the signal ended it before all was done. */
  readonly interrupted: boolean;
  /** Names and digests of the files of training data. */
  readonly trainedOn: string;
  /** The configuration with everything decided. */
  readonly config: Config;
  /** The adapter that training started from: its hub name or folder, and the commit of a hub name. */
  readonly start: { readonly name: string; readonly revision: string | null } | null;
  /** Of training alone, in this process. */
  readonly seconds: number;
  /** The base, before training. */
  readonly base: Evaluation;
  /** The trained model; null when the run was interrupted. */
  readonly evaluation: Evaluation | null;
  /** Still open: close it, or hand it to the next run. */
  readonly engine: Engine;
}

/**
 * One training run, from a configuration to a run folder with `config.yaml`, `metrics.jsonl`, checkpoints and `adapter/`, or
 * the rest of one that ended early. All input is read and checked before the folder is created, and a run that takes no
 * step leaves nothing behind.
 *
 * @throws UserError for bad input; once a step is done, what there is is saved before any error. The signal's reason when it
 * aborts before the first step is done.
 * @example const run = await runTraining(loadConfig("config.yaml"));
 */
export async function runTraining(asked: Config, options: RunOptions = {}): Promise<RunResult> {
  const { note = () => {}, signal, resume = false } = options;
  const waiting = (what: string): Waiting => ({ signal, onProgress: (share) => options.onProgress?.(what, share) });
  if (!resume) refuseOutput(asked.output);
  const sources = await locateSources(asked, options);
  const engine = options.before?.engine ?? (await openEngine(engineSettings(asked, sources)));
  let [client, stores, folder]: [TrainingClient?, Stores?, RunFolder?] = [];
  let [handedOver, taken] = [false, 0];
  try {
    const adapter = sources.adapter?.folder ?? null;
    const { seed } = asked.train;
    const dropout = asked.lora.dropout ?? undefined;
    const starting = adapter === null ? undefined : await engine.trainingClient({ adapter, dropout, seed });
    const config = withLora(asked, starting?.lora);
    const input = await readInput(config, sources, engine.model, note);
    client = starting ?? (await engine.trainingClient({ ...known(config.lora), seed }));
    for (const notice of engine.model.notices ?? []) note(notice);
    const { batch_size, shuffle, report_every } = config.train;
    const length = { steps: config.train.steps ?? undefined, epochs: config.train.epochs ?? undefined };
    const steps = countSteps(length, Math.ceil(input.data.length / batch_size));
    const opened = await openRun({ config, sources, engine, client, steps, resume, note });
    folder = opened.folder;
    taken = opened.state?.step ?? 0;
    signal?.throwIfAborted();

    const trainedOn = await describeFiles(config);
    const { tokenizer } = input;
    stores = await Stores.of(engine, tokenizer, adapter);
    const base = await engine.sampler();
    const { maxPositions, vocabSize } = engine.model;
    const kept = keepSamples(folder, tokenizer);
    const texts = { data: input.data, validation: input.validation ?? [] };
    const { terms, adapterPenalties, data, validation } = await buildRegularizers(config, texts, {
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
      waiting,
      onDrawn: kept.add,
    });
    const { max_tokens, completions, drift_samples } = config.evaluate;
    const drawing = waiting("drawing samples of the base to measure drift on");
    const baseSamples = await drawDriftSamples(base, tokenizer, drift_samples, max_tokens, drawing);
    const plan = { ...input, maxTokens: max_tokens, completions, baseSamples };
    const measure = async (who: string, sampler: typeof base) => {
      const what = whatIsMeasured(who, plan);
      if (what !== null) note(what);
      return evaluate(sampler, base, plan, waiting(what ?? ""));
    };
    signal?.throwIfAborted();
    const before = options.before?.base ?? (await measure("the base", base));

    note(`training on ${data.length} examples: ${steps} steps of ${Math.min(batch_size, data.length)}`);
    const evaluations =
      config.evaluate.every === null
        ? null
        : await Evaluations.of({
            settings: config.evaluate,
            tokenizer,
            plan,
            validation,
            regularizers: terms.map(({ regularizer }) => regularizer),
            base,
            waiting,
            note,
          });
    const recorder = new Recorder({
      folder,
      files: opened.files,
      client,
      tokenizer,
      config,
      rows: opened.rows,
      complete: (folder, steps) =>
        completeAdapter(folder, sources.model.folder, {
          config,
          model: engine.model,
          steps,
          trainedOn,
          measured: null,
        }),
    });
    const started = performance.now();
    let isCut = false;
    try {
      // The run ended after this step and before it was measured.
      if (taken > 0 && evaluations?.isDue(taken) && !isEvaluated(recorder.rows.at(-1)!)) {
        const after = await engine.sampler(join(folder.path, `checkpoint-${taken}`));
        const measured = await unlessAborted(signal, () => evaluations.measure(after, taken));
        if (measured) recorder.amend(measured);
      }
      if (whyOver(recorder.rows, config.evaluate) === null) {
        const result = await train({
          client,
          data,
          mixture: input.mixture,
          ...length,
          batchSize: batch_size,
          seed,
          shuffle,
          optimizer: optimizerOptions(config),
          regularizers: terms,
          adapterPenalties,
          reportEvery: report_every,
          state: opened.state ?? undefined,
          signal,
          onStep: async (result, details) => {
            const { step } = result;
            const measured = evaluations?.isDue(step)
              ? await unlessAborted(signal, () => evaluations.measure(client!.sampler("current"), step))
              : null;
            options.onStep?.(await recorder.add(result, details, measured), steps);
            taken = step;
            const why = whyOver(recorder.rows, config.evaluate);
            if (why === null) return;
            note(`stopping after step ${step} of ${steps}: ${why}`);
            return "stop";
          },
        });
        isCut = result.interrupted;
      }
    } catch (cause) {
      throw taken === 0 ? cause : await recorder.rescue(cause);
    }
    const seconds = (performance.now() - started) / 1000;
    if (taken === 0) throw signal!.reason;
    await recorder.finish();
    const { rows, best: bestStep } = recorder;
    if (bestStep !== null) note(`the adapter is that of step ${bestStep}, the best that was measured`);
    const trained = bestStep === null ? client.sampler("current") : await engine.sampler(join(folder.path, "adapter"));
    const evaluation = isCut ? null : await unlessAborted(signal, () => measure("the trained model", trained));
    handedOver = true;
    return {
      rows,
      steps,
      bestStep,
      interrupted: evaluation === null,
      config,
      trainedOn,
      start: startOf(sources),
      seconds,
      base: before,
      evaluation,
      engine,
    };
  } finally {
    if (taken === 0) folder?.discard();
    else folder?.close();
    await client?.close?.();
    stores?.close();
    if (!handedOver && !options.before) await engine.close();
  }
}

function optimizerOptions({ optimizer }: Config): OptimizerOptions {
  const { learning_rate, weight_decay, grad_clip, warmup_steps, betas, eps, schedule } = optimizer;
  return {
    learningRate: learning_rate,
    weightDecay: weight_decay,
    gradClip: grad_clip,
    warmupSteps: warmup_steps,
    betas,
    eps,
    schedule,
  };
}

/** What work gives, or null when the signal has ended it. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T | null> {
  try {
    return signal?.aborted ? null : await work();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return null;
    throw error;
  }
}

/** Settings without those that are not written. */
function known(lora: Config["lora"]): LoraOptions {
  return Object.fromEntries(Object.entries(lora).filter(([, value]) => value !== null));
}

function startOf({ adapter }: Sources): RunResult["start"] {
  return adapter && { name: adapter.hub?.name ?? adapter.folder, revision: adapter.hub?.revision ?? null };
}

function whatIsMeasured(who: string, plan: EvaluationPlan): string | null {
  const sets = [...(plan.task ? [plan.task] : []), ...(plan.skills?.values() ?? [])];
  const questions = sets.reduce((sum, { length }) => sum + length, 0);
  if (questions > 0) return `asking ${who} ${questions} questions`;
  return plan.validation || plan.baseSamples?.length ? `measuring ${who}` : null;
}

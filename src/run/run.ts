import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import { stringifyConfig } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { drawDriftSamples, type Evaluation, type EvaluationPlan, evaluate } from "../drift/evaluation.ts";
import { worstToken } from "../drift/worst-tokens.ts";
import { LocalModel } from "../engine/local/local-model.ts";
import type { LocalTrainingClient } from "../engine/local/training-client.ts";
import { TrainingDivergedError } from "../train/diverged.ts";
import type { StepMetrics } from "../train/metrics.ts";
import { type TrainResult, train } from "../train/train.ts";
import { type Drawn, samplesAsLines } from "./build-anchors.ts";
import { buildRegularizers } from "./build-regularizers.ts";
import { LastGood } from "./last-finite.ts";
import { readInput } from "./read-input.ts";
import { Stores } from "./reference-stores.ts";
import { createRunFolder, type RunFolder, refuseOutput } from "./run-folder.ts";

/** Who follows a run, and what can end it early. */
export interface RunOptions {
  /** Hears of the phases of the run. */
  readonly note?: (text: string) => void;
  /** Hears of each step, of so many. */
  readonly onStep?: (row: StepMetrics, steps: number) => void;
  /** When aborted, the step under way is finished, and what there is is saved. */
  readonly signal?: AbortSignal;
  /** The base and what was measured of it, from an earlier run on the same model. */
  readonly before?: Pick<RunResult, "model" | "base">;
}

/** A finished (or interrupted) run: what it measured and where it lies. */
export interface RunResult extends TrainResult {
  /** The configuration with everything decided. */
  readonly config: Config;
  /** Of training alone. */
  readonly seconds: number;
  /** The base, before training. */
  readonly base: Evaluation;
  /** The trained model; null when the run was interrupted. */
  readonly evaluation: Evaluation | null;
  /** Still open: close it, or hand it to the next run. */
  readonly model: LocalModel;
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
  const model = options.before?.model ?? (await LocalModel.open(asked.model, { threads: asked.engine.threads }));
  const stores = new Stores(model);
  let client: LocalTrainingClient | undefined;
  let handedOver = false;
  try {
    const input = await readInput(asked, model);
    const { config, tokenizer } = input;
    client = await openClient(config, model);
    const base = model.sampler();
    const { maxPositions, vocabSize } = model.config;
    const kept = keepSamples(tokenizer);
    const { held, adapterPenalties, data } = await buildRegularizers(config, input.data, {
      base,
      model: client.sampler("current"),
      snapshot: () => client!.snapshot(),
      openStore: (settings) => stores.open(settings, input.start),
      tokenizer,
      vocabSize,
      maxLength: maxPositions,
      note,
      signal,
      onDrawn: kept.add,
    });
    const plan = {
      ...input,
      maxTokens: config.evaluate.max_tokens,
      completions: config.evaluate.completions,
      baseSamples: await drawDriftSamples(base, tokenizer, config.evaluate.drift_samples, config.evaluate.max_tokens),
    };
    signal?.throwIfAborted();
    let before = options.before?.base;
    if (!before) {
      noteEvaluation(note, "the base", plan);
      before = await evaluate(base, base, plan);
    }

    const { batch_size, seed, shuffle } = config.train;
    const steps = countSteps(config, data.length);
    note(`training on ${data.length} examples: ${steps} steps of ${Math.min(batch_size, data.length)}`);
    let folder = null as RunFolder | null;
    let taken = 0;
    const lastGood = new LastGood([...client.parameters.values()].map(({ data }) => data));
    const started = performance.now();
    const result = await train({
      client,
      data,
      steps,
      batchSize: batch_size,
      seed,
      shuffle,
      optimizer: config.optimizer,
      regularizers: held,
      adapterPenalties,
      reportEvery: config.train.report_every,
      worstTokens: config.train.worst_tokens,
      signal,
      onStep: (row, worst) => {
        folder ??= startFolder(config);
        kept.write(folder);
        folder.append("metrics.jsonl", row);
        for (const each of worst) folder.append("worst-tokens.jsonl", worstToken(row.step, each, tokenizer));
        lastGood.updated();
        taken = row.step;
        options.onStep?.(row, steps);
      },
    }).catch(async (error: unknown) => {
      if (folder) {
        lastGood.restore();
        await folder.saveAdapter(client!);
        folder.close();
        sayWhatIsSaved(error, taken, folder);
      }
      throw error;
    });
    const seconds = (performance.now() - started) / 1000;
    if (!folder) throw signal!.reason;
    await folder.saveAdapter(client);
    folder.close();
    if (!result.interrupted) noteEvaluation(note, "the trained model", plan);
    const evaluation = result.interrupted ? null : await evaluate(client.sampler("current"), base, plan);
    handedOver = true;
    return { ...result, config, seconds, base: before, evaluation, model };
  } finally {
    await client?.close();
    stores.close();
    if (!handedOver && !options.before) await model.close();
  }
}

function openClient({ lora, train }: Config, model: LocalModel): Promise<LocalTrainingClient> {
  if (train.adapter !== null) return model.trainingClient({ adapter: train.adapter });
  const { rank, alpha, target_modules, use_rslora } = lora;
  return model.trainingClient({
    rank: rank!,
    alpha: alpha!,
    target_modules: target_modules!,
    use_rslora: use_rslora!,
    seed: train.seed,
  });
}

function countSteps({ train: { steps, epochs, batch_size } }: Config, examples: number): number {
  return steps ?? Math.max(1, Math.ceil((epochs! * examples) / Math.min(batch_size, examples)));
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
  const sets = [...(plan.task ? [plan.task] : []), ...plan.skills.values()];
  const questions = sets.reduce((sum, { length }) => sum + length, 0);
  if (questions > 0) note(`asking ${who} ${questions} questions`);
  else if (plan.validation || plan.baseSamples.length > 0) note(`measuring ${who}`);
}

/** Adds to a user's mistake that came up after `taken` steps where it came up, and what is left of the run. */
function sayWhatIsSaved(error: unknown, taken: number, { path }: RunFolder): void {
  if (!(error instanceof UserError)) return;
  const where = error instanceof TrainingDivergedError ? "" : `step ${taken + 1}: `;
  const what = error.message.replace(/\.$/, "");
  error.message = `${where}${what}; ${join(path, "adapter")} holds the weights that step ${taken} measured, the last with finite results.`;
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadDataset } from "../data/dataset.ts";
import type { Datum } from "../data/datum.ts";
import { type EvaluationRow, loadEvaluation } from "../data/evaluation.ts";
import { checkTokenizer, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { drawDriftSamples, type Evaluation, evaluate } from "../drift/evaluation.ts";
import { readAdapter } from "../engine/local/adapter.ts";
import { LocalModel } from "../engine/local/model.ts";
import type { LocalTrainingClient } from "../engine/local/training-client.ts";
import { UserError } from "../errors.ts";
import { buildRegularizers, dataFields } from "./build-regularizers.ts";
import { type Config, resolveLora } from "./config.ts";
import { stringifyConfig } from "./config-file.ts";
import type { StepMetrics } from "./metrics.ts";
import { createRunFolder, type RunFolder, refuseExisting } from "./run-folder.ts";
import { type TrainResult, train } from "./trainer.ts";

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
 * is read and checked before the folder is created.
 *
 * @throws UserError for bad input; a TrainingDivergedError after the last good adapter was saved.
 * @example const { evaluation } = await runTraining(loadConfig("config.yaml"));
 */
export async function runTraining(asked: Config, options: RunOptions = {}): Promise<RunResult> {
  const { note = () => {}, signal } = options;
  refuseExisting(asked.output);
  const model = options.before?.model ?? (await LocalModel.open(asked.model, { threads: asked.engine.threads }));
  let client: LocalTrainingClient | undefined;
  try {
    const input = await readInput(asked, model);
    const { config, tokenizer } = input;
    client = await openClient(config, model);
    const base = model.sampler();
    const { maxPositions, vocabSize } = model.config;
    const { held, data } = await buildRegularizers(config, input.data, {
      base,
      tokenizer,
      vocabSize,
      maxLength: maxPositions,
      note,
    });
    const plan = {
      ...input,
      maxTokens: config.evaluate.max_tokens,
      completions: config.evaluate.completions,
      baseSamples: await drawDriftSamples(base, tokenizer, config.evaluate.drift_samples, config.evaluate.max_tokens),
    };
    let before = options.before?.base;
    if (!before) {
      note("asking the base");
      before = await evaluate(base, base, plan);
    }

    const { epochs, batch_size, seed, shuffle } = config.train;
    const steps = config.train.steps ?? Math.max(1, Math.ceil((epochs! * data.length) / batch_size));
    const folder = createRunFolder(config.output);
    folder.write("config.yaml", stringifyConfig(config));
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
      signal,
      onStep: (row) => {
        folder.appendMetrics(row);
        options.onStep?.(row, steps);
      },
    }).catch((error: unknown) => saveLastGood(error, client!, folder));
    const seconds = (performance.now() - started) / 1000;
    await folder.saveAdapter(client);
    folder.close();
    if (!result.interrupted) note("asking the trained model");
    const evaluation = result.interrupted ? null : await evaluate(client.sampler("current"), base, plan);
    return { ...result, config, seconds, base: before, evaluation, model };
  } catch (error) {
    if (!options.before) await model.close();
    throw error;
  } finally {
    await client?.close();
  }
}

interface Input {
  readonly config: Config;
  readonly tokenizer: Tokenizer;
  readonly data: readonly Datum[];
  readonly validation: readonly Datum[] | null;
  readonly task: readonly EvaluationRow[] | null;
  readonly skills: ReadonlyMap<string, readonly EvaluationRow[]>;
}

async function readInput(asked: Config, model: LocalModel): Promise<Input> {
  const config = await resolveAdapter(asked, model);
  const tokenizer = loadTokenizer(config.model);
  const { vocabSize, maxPositions } = model.config;
  checkTokenizer(tokenizer, vocabSize);
  const { train, validation, max_length } = config.data;
  const limits = { maxLength: Math.min(max_length ?? maxPositions, maxPositions), vocabSize };
  const skills = new Map<string, EvaluationRow[]>();
  for (const [name, path] of Object.entries(config.evaluate.skills)) {
    if (name === "task")
      throw new UserError("evaluate.skills names a skill `task`, which is the name of the new task; choose another.");
    skills.set(name, await loadEvaluation(path, tokenizer));
  }
  return {
    config,
    tokenizer,
    data: await loadDataset(train, tokenizer, { ...limits, fields: dataFields(config) }),
    validation: validation === null ? null : await loadDataset(validation, tokenizer, limits),
    task: config.evaluate.task === null ? null : await loadEvaluation(config.evaluate.task, tokenizer),
    skills,
  };
}

/** With an adapter to start from, its settings stand in the configuration. */
async function resolveAdapter(asked: Config, model: LocalModel): Promise<Config> {
  const { adapter } = asked.train;
  if (adapter !== null && !existsSync(adapter)) {
    throw new UserError(
      `train.adapter names the folder ${adapter}, which does not exist; give a PEFT adapter folder, or null for a fresh one.`,
    );
  }
  const given = adapter === null ? undefined : await readAdapter(adapter, model.config);
  const { rank, alpha, target_modules, use_rslora } = resolveLora(asked.lora, given);
  const modules = target_modules === "all-linear" ? target_modules : [...target_modules];
  return { ...asked, lora: { rank, alpha, target_modules: modules, use_rslora } };
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

/** Training failed: keeps the adapter as it was after the last update, and says so. */
async function saveLastGood(error: unknown, client: LocalTrainingClient, folder: RunFolder): Promise<never> {
  await folder.saveAdapter(client);
  folder.close();
  if (error instanceof UserError) {
    error.message += ` The adapter of the last good step is saved in ${join(folder.path, "adapter")}.`;
  }
  throw error;
}

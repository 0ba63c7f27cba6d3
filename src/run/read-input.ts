import { dirname, join } from "node:path";
import { UserError } from "../common/errors.ts";
import { readTextFile, UnreadableFileError } from "../common/text-file.ts";
import { type Config, resolveLora } from "../config/schema.ts";
import { loadDataset } from "../data/dataset.ts";
import type { Datum } from "../data/datum.ts";
import { loadQuestions, type Question } from "../data/questions.ts";
import { MOST_TEMPLATE } from "../data/tokenizer/model-folder.ts";
import { checkTokenizer, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { EngineSettings } from "../engine/open.ts";
import type { ModelFacts } from "../model/contract.ts";
import type { LoraSettings } from "../model/lora.ts";
import { dataFields } from "./build-regularizers.ts";
import type { Sources } from "./locate.ts";
import { loadTrainingData, type TrainingData } from "./training-data.ts";

/** What a run reads from files before it begins. */
export interface Input extends TrainingData {
  readonly tokenizer: Tokenizer;
  readonly validation: readonly Datum[] | null;
  readonly task: readonly Question[] | null;
  readonly skills: ReadonlyMap<string, readonly Question[]>;
}

/** Which engine a configuration asks for. */
export function engineSettings({ engine: { threads } }: Config, { model }: Sources): EngineSettings {
  return { type: "local", model: model.folder, hub: model.hub, threads };
}

/**
 * Reads all that a configuration names but its references and anchors.
 *
 * @param note is told, once each, what a user should know before the first step.
 * @throws UserError for whatever is missing, malformed, or more than the model can read.
 */
export async function readInput(
  config: Config,
  { model }: Sources,
  { vocabSize, maxPositions }: ModelFacts,
  note: (sentence: string) => void = () => {},
): Promise<Input> {
  const tokenizer = openTokenizer(config, model.folder);
  checkTokenizer(tokenizer, vocabSize);
  const told = new Set<string>();
  const notice = (sentence: string) => {
    if (!told.has(sentence)) note(sentence);
    told.add(sentence);
  };
  for (const sentence of tokenizer.notices) notice(sentence);
  const { validation, max_length, too_long: tooLong } = config.data;
  const limits = { maxLength: Math.min(max_length ?? maxPositions, maxPositions), vocabSize, notice };
  const { max_tokens, drift_samples } = config.evaluate;
  if (drift_samples > 0 && tokenizer.bos === null) {
    throw new UserError(
      `evaluate.drift_samples is ${drift_samples}, but the tokenizer in ${config.model} names no bos_token for samples of the base to begin with: set evaluate.drift_samples to 0.`,
    );
  }
  const questions = async (path: string) => {
    const rows = await loadQuestions(path, tokenizer, notice);
    for (const row of rows) checkRoom(row, path, max_tokens, maxPositions);
    return rows;
  };
  const skills = new Map<string, Question[]>();
  for (const [name, path] of Object.entries(config.evaluate.skills)) {
    if (name === "task")
      throw new UserError("evaluate.skills names a skill `task`, which is the name of the new task; choose another.");
    skills.set(name, await questions(path));
  }
  return {
    tokenizer,
    ...(await loadTrainingData(config, tokenizer, { ...limits, fields: dataFields(config) })),
    validation: validation === null ? null : await loadDataset(validation, tokenizer, { ...limits, tooLong }),
    task: config.evaluate.task === null ? null : await questions(config.evaluate.task),
    skills,
  };
}

/** The tokenizer of a model folder, with the chat template, its variables and the system prompt that a configuration sets. */
export function openTokenizer({ data }: Pick<Config, "data">, folder: string): Tokenizer {
  const { chat_template, template_kwargs, system_prompt } = data;
  return loadTokenizer(folder, {
    chatTemplate: chat_template === null ? undefined : readTemplate(chat_template),
    chat: { kwargs: template_kwargs, system: system_prompt ?? undefined },
  });
}

function readTemplate(path: string): string {
  try {
    return readTextFile(path, MOST_TEMPLATE);
  } catch (cause) {
    if (!(cause instanceof UnreadableFileError)) throw cause;
    throw new UserError(
      `data.chat_template names ${path}, which cannot be read: ${cause.reason}; give a file that holds a Jinja2 template, or leave it out for the model's own`,
      { cause },
    );
  }
}

/** The configuration with LoRA's settings in force: those of the adapter that training starts from, if there is one. */
export function withLora(config: Config, start: LoraSettings | undefined): Config {
  const resolved: Readonly<Record<string, unknown>> = { ...resolveLora(config.lora, start) };
  const lora = Object.keys(config.lora).map((key) => [key, resolved[key] ?? null]);
  return { ...config, lora: Object.fromEntries(lora) };
}

/** Refuses a question that the model cannot read, or could never answer right. */
function checkRoom(row: Question, path: string, maxTokens: number, maxPositions: number): void {
  const where = join(dirname(path), row.source);
  const [prompt, answer] = [row.prompt.length, row.completionTokens.length];
  // The last token drawn is never read.
  const room = maxPositions + 1 - maxTokens;
  if (prompt > room) {
    throw new UserError(
      `${where}: the prompt has ${prompt} tokens, the limit is ${room} when answers may have ${maxTokens}: shorten it, or lower evaluate.max_tokens`,
    );
  }
  if (answer > maxTokens) {
    throw new UserError(
      `${where}: the right answer has ${answer} tokens, the model may give ${maxTokens}: raise evaluate.max_tokens`,
    );
  }
}

import { namesOf } from "../config/regularizers/index.ts";
import type { Config } from "../config/schema.ts";
import { sourcesOf } from "../config/text.ts";
import { type DatasetOptions, readWeighted } from "../data/dataset.ts";
import { loadQuestions } from "../data/questions.ts";
import { checkTokenizer, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { readModelFacts } from "../engine/open.ts";
import { type LocateOptions, locateModel } from "../hub/locate.ts";
import { describeText } from "./describe.ts";
import { excludedTokens } from "./excluded-tokens.ts";
import { openTokenizer } from "./read-input.ts";

/** A line of data as it is trained. */
export interface PreviewLine {
  /** Its line in the file, or its row. */
  readonly line: number;
  readonly source: string;
  readonly tokens: readonly number[];
  /** How much predicting each token counts; the first is never predicted. */
  readonly weights: readonly number[];
  /** The same for each regularizer that works on the completions, by its name. */
  readonly regularizers: Readonly<Record<string, readonly number[]>>;
}

/** What regularizers work on, in words, by their names: `on the completions`, `on 800 samples of the base`. */
export type WorksOn = Readonly<Record<string, string>>;

export interface Preview {
  readonly tokenizer: Tokenizer;
  readonly lines: readonly PreviewLine[];
  readonly regularizers: WorksOn;
  /** What was cut or left out, and what of the model's folder should be known. */
  readonly notices: readonly string[];
  /** Lines whose tokens an earlier line has, by the line. */
  readonly duplicates: ReadonlyMap<PreviewLine, PreviewLine>;
  /** Lines that an evaluation set asks, prompt and answer, each with where. */
  readonly leaks: readonly { readonly line: PreviewLine; readonly question: string }[];
}

/**
 * The data of a configuration as a run would train it, with its template, lengths and masks; or of one file with a model.
 *
 * @throws UserError for whatever a run would refuse of the data.
 */
export async function previewData(
  from:
    | { readonly config: Config; readonly file?: string | undefined }
    | { readonly model: string; readonly file: string },
  locate: LocateOptions = {},
): Promise<Preview> {
  const config = "config" in from ? from.config : undefined;
  const { folder } = await locateModel(config?.model ?? (from as { model: string }).model, locate);
  const tokenizer = config ? openTokenizer(config, folder) : loadTokenizer(folder);
  const { vocabSize, maxPositions } = await readModelFacts(folder);
  checkTokenizer(tokenizer, vocabSize);
  const notices = new Set(tokenizer.notices);
  const options: DatasetOptions = {
    maxLength: Math.min(config?.data.max_length ?? maxPositions, maxPositions),
    vocabSize,
    tooLong: config?.data.too_long,
    notice: (sentence) => notices.add(sentence),
  };
  const masks = config ? masksOf(config, { tokenizer, vocabSize }) : [];
  const files = from.file === undefined ? [config!.data.train].flat() : [from.file];
  const lines: PreviewLine[] = [];
  for (const entry of files) {
    const path = typeof entry === "string" ? entry : entry.file;
    const read = await readWeighted(path, tokenizer, options, ({ tokens, weights }, _, { number, source }) => ({
      line: number,
      source,
      tokens,
      weights: weights.map((weight, i) => (i === 0 ? 0 : weight)),
      regularizers: Object.fromEntries(
        masks.map(({ name, excluded }) => [
          name,
          weights.map((weight, i) => (i === 0 || excluded.has(tokens[i]!) ? 0 : weight)),
        ]),
      ),
    }));
    for (const line of read) lines.push(line);
  }
  return {
    tokenizer,
    lines,
    regularizers: config ? worksOn(config) : {},
    notices: [...notices],
    duplicates: duplicatesOf(lines),
    leaks: await leaksOf(lines, config, tokenizer),
  };
}

/** The regularizers that work on the completions, and the target tokens that they skip. */
function masksOf({ regularizers }: Config, model: { readonly tokenizer: Tokenizer; readonly vocabSize: number }) {
  const names = namesOf(regularizers);
  return regularizers.flatMap((settings, i) => {
    if (!("text" in settings)) return [];
    const [name, excluded] = [names[i]!, excludedTokens(settings.exclude_tokens, names[i]!, model)];
    return sourcesOf(settings.text).includes("completions") ? [{ name, excluded: new Set(excluded) }] : [];
  });
}

function worksOn({ regularizers }: Config): WorksOn {
  const names = namesOf(regularizers);
  return Object.fromEntries(regularizers.map((settings, i) => [names[i]!, describeText(settings)]));
}

function duplicatesOf(lines: readonly PreviewLine[]): Map<PreviewLine, PreviewLine> {
  const first = new Map<string, PreviewLine>();
  const found = new Map<PreviewLine, PreviewLine>();
  for (const line of lines) {
    const key = line.tokens.join();
    const before = first.get(key);
    if (before) found.set(line, before);
    else first.set(key, line);
  }
  return found;
}

async function leaksOf(lines: readonly PreviewLine[], config: Config | undefined, tokenizer: Tokenizer) {
  if (!config) return [];
  const { task, skills } = config.evaluate;
  const trained = new Map(lines.map((line) => [textOf(line.tokens, tokenizer), line]));
  const leaks: { line: PreviewLine; question: string }[] = [];
  for (const path of [...(task === null ? [] : [task]), ...Object.values(skills)]) {
    for (const { prompt, completionTokens, source } of await loadQuestions(path, tokenizer)) {
      const line = trained.get(textOf([...prompt, ...completionTokens], tokenizer));
      if (line) leaks.push({ line, question: source });
    }
  }
  return leaks;
}

/** What is compared: what is said, without what frames it. */
function textOf(tokens: readonly number[], tokenizer: Tokenizer): string {
  return tokenizer.decode(tokens).replace(/\s+/gu, " ").trim();
}

import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { ChatNotices } from "./chat-notices.ts";
import type { Datum } from "./datum.ts";
import { lineWeight, parseExample, RESERVED_KEYS } from "./example.ts";
import { Faults } from "./faults.ts";
import { fieldRows } from "./field-rows.ts";
import { type DataLine, readData } from "./files/index.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { DATASET_DEFAULTS, LengthLimit, type TooLong } from "./too-long.ts";
import { tokenizeWith, type WeightedTokens } from "./weighted-tokens.ts";

export interface DatasetOptions {
  /** The most tokens a line may have, its special tokens included. Default: no limit. */
  readonly maxLength?: number | undefined;
  /** What becomes of a line with more: it is refused, cut at its end, or left out. Default `error`. */
  readonly tooLong?: TooLong | undefined;
  /** V: token ids must be below it, and a vector of a field has as many numbers. Default: as many as the tokenizer knows. */
  readonly vocabSize?: number | undefined;
  /** Keys of each line that become loss inputs: arrays [tokens − 1, V], entry i about the prediction of token i + 1. Default none. */
  readonly fields?: readonly string[];
  /** Told, once each, what was cut or left out and how much of it, and of prompts that end within a token. */
  readonly notice?: ((sentence: string) => void) | undefined;
}

/**
 * Reads training data: a file of JSON Lines, of one JSON list, CSV (these also in gzip) or Parquet, or all files that fit
 * a pattern such as `data/*.jsonl`. Each line is one of
 * - `{"messages": [{role, content}…]}`, with `tools` and `documents` if need be: the loss counts assistant turns;
 * - `{"prompt", "completion"}`, two texts or two lists of messages: it counts the completion;
 * - `{"text"}`: every token;
 * - `{"tokens": […], "weights": […]}`: already tokenized, the loss weight of predicting each token, default 1; the first
 *   is never predicted;
 * - `{"conversations": [{from, value}…]}` (ShareGPT), `{"instruction", "input", "output"}` (Alpaca): as messages.
 *
 * A line's `weight` multiplies the loss weight of each of its tokens; a line of weight 0 is left out. Other keys that mean
 * something about what is learned are refused, all others ignored.
 *
 * A datum has a row for each predicted token of weight above 0, and no others.
 *
 * @throws UserError naming file and line, for whatever is not so: of all lines that are wrong the first ten.
 * @example await loadDataset("train.jsonl", loadTokenizer("./models/base"), { maxLength: 256 })
 */
export async function loadDataset(path: string, tokenizer: Tokenizer, options: DatasetOptions = {}): Promise<Datum[]> {
  const { fields = [], vocabSize = tokenizer.vocabularySize } = options;
  return readWeighted(path, tokenizer, options, (tokens, whole, line) => {
    const datum = weightedDatum(tokens, line.source);
    if (fields.length === 0) return datum;
    const kept = datum.lossInputs.positions!.data;
    const extra = fields.map((field) => [field, fieldRows(field, line, whole.tokens.length - 1, kept, vocabSize)]);
    return { ...datum, lossInputs: { ...datum.lossInputs, ...(Object.fromEntries(extra) as Record<string, Tensor>) } };
  });
}

/**
 * The lines of a file as they are trained, each with what `use` makes of it; those that are left out are not there.
 *
 * @param use is given the tokens within the limit of length, those of the whole line, and the line.
 * @throws UserError as `loadDataset`, of all lines together.
 */
export async function readWeighted<Result>(
  path: string,
  tokenizer: Tokenizer,
  options: DatasetOptions,
  use: (tokens: WeightedTokens, whole: WeightedTokens, line: DataLine) => Result,
): Promise<Result[]> {
  const {
    fields = [],
    maxLength = Number.POSITIVE_INFINITY,
    tooLong = DATASET_DEFAULTS.tooLong,
    vocabSize = tokenizer.vocabularySize,
    notice = () => {},
  } = options;
  const taken = fields.find((field) => RESERVED_KEYS.includes(field));
  if (taken !== undefined)
    throw new UserError(`a field cannot be called \`${taken}\`, which has a meaning of its own: rename it in the data`);

  const tokenize = tokenizeWith(tokenizer, notice);
  const limit = new LengthLimit(maxLength, tooLong);
  const chats = new ChatNotices();
  const faults = new Faults();
  const results: Result[] = [];
  let [lines, weightless] = [0, 0];
  const read = (line: DataLine): void => {
    const example = parseExample(line, fields);
    const weight = lineWeight(line);
    const whole = naming(line, () => tokenize(example));
    checkIds(whole, line, vocabSize);
    if (Math.fround(weight) === 0) {
      weightless++;
      return;
    }
    const tokens = limit.apply(weighted(whole, weight, line), line);
    if (tokens === null) return;
    if (!tokens.weights.some((each, i) => i > 0 && Math.fround(each) > 0)) throw line.fail(nothingToPredict(tokens));
    if (whole.chat) chats.add(whole.chat, line.source);
    results.push(use(tokens, whole, line));
  };
  for await (const line of readData(path)) {
    lines++;
    faults.attempt(() => read(line));
  }
  faults.check(limit.advice);
  const name = shownPath(path);
  const left =
    weightless === 0 ? undefined : `${weightless} of ${lines} lines of ${name} have weight 0 and are left out`;
  const notices = [limit.notice(name, lines), left, ...chats.sentences(name)].filter(
    (sentence) => sentence !== undefined,
  );
  if (results.length === 0) throw new UserError(`${path}: no line is left to learn from: ${notices.join("; ")}`);
  for (const sentence of notices) notice(sentence);
  return results;
}

/** Tokens whose weights are multiplied by that of their line. */
function weighted({ tokens, weights }: WeightedTokens, weight: number, { fail }: DataLine): WeightedTokens {
  if (weight === 1) return { tokens, weights };
  const products = weights.map((each) => each * weight);
  if (products.every((product) => Number.isFinite(Math.fround(product)))) return { tokens, weights: products };
  throw fail(
    "`weight` times the weights of this line's tokens is more than 3.4e38, the most that float32 holds: lower it",
  );
}

/** The datum of a sequence: the model reads all tokens but the last, and each token of weight above 0 but the first is a row. */
export function weightedDatum({ tokens, weights }: WeightedTokens, source?: string): Datum {
  const all = Float32Array.from(weights);
  const kept: number[] = [];
  for (let i = 1; i < tokens.length; i++) if (all[i]! > 0) kept.push(i);
  const shape = [kept.length];
  return {
    modelInput: Int32Array.from(tokens.slice(0, -1)),
    lossInputs: {
      target_tokens: { data: Int32Array.from(kept, (i) => tokens[i]!), shape },
      weights: { data: Float32Array.from(kept, (i) => all[i]!), shape },
      positions: { data: Int32Array.from(kept, (i) => i - 1), shape },
    },
    ...(source !== undefined && { source }),
  };
}

/** Runs `work` on a line; a mistake found there gets the line's name. */
function naming<Result>(line: DataLine, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof UserError) throw line.fail(cause.message, { cause });
    throw cause;
  }
}

function checkIds({ tokens }: WeightedTokens, { fail }: DataLine, vocabSize: number): void {
  const outside = tokens.findIndex((id) => id >= vocabSize);
  if (outside === -1) return;
  throw fail(
    `token ${outside} has the id ${tokens[outside]}, the model's vocabulary has ${vocabSize}, ids 0 to ${vocabSize - 1}`,
  );
}

function nothingToPredict({ tokens }: WeightedTokens): string {
  if (tokens.length < 2)
    return `there is nothing to predict: the line has ${tokens.length} tokens, and the first is never predicted`;
  return "there is nothing to predict: every token but the first has weight 0";
}

import { UserError } from "../common/errors.ts";
import { formatShape, type Tensor } from "../divergence/tensor.ts";
import type { Datum } from "./datum.ts";
import { parseExample, RESERVED_KEYS } from "./example.ts";
import { type JsonLine, readJsonLines } from "./json-lines.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokenizeWith, type WeightedTokens } from "./weighted-tokens.ts";

export interface DatasetOptions {
  /** The most tokens a line may have, its special tokens included. Default: no limit. */
  readonly maxLength?: number | undefined;
  /** V: token ids must be below it, and a vector of a field has as many numbers. Default: as many as the tokenizer knows. */
  readonly vocabSize?: number | undefined;
  /** Keys of each line that become loss inputs: arrays [tokens − 1, V], entry i about the prediction of token i + 1. Default none. */
  readonly fields?: readonly string[];
  /** Is told, once, what a user should know of prompts that end within a token. */
  readonly notice?: (sentence: string) => void;
}

/**
 * Reads a JSON Lines file as training data. Each line is one of `{"messages": [{role, content}…]}` (the loss counts
 * assistant turns), `{"prompt", "completion"}` (it counts the completion), `{"text"}` (every token), or
 * `{"tokens": […], "weights": […]}` (already tokenized, the loss weight of predicting each token, default 1; the first
 * is never predicted). Other keys are ignored.
 *
 * A datum has a row for each predicted token of weight above 0, and no others.
 *
 * @throws UserError naming file and line, for whatever is not so.
 * @example await loadDataset("train.jsonl", loadTokenizer("./models/base"), { maxLength: 256 })
 */
export async function loadDataset(path: string, tokenizer: Tokenizer, options: DatasetOptions = {}): Promise<Datum[]> {
  const { fields = [], maxLength = Number.POSITIVE_INFINITY, vocabSize = tokenizer.vocabularySize } = options;
  const taken = fields.find((field) => RESERVED_KEYS.includes(field));
  if (taken !== undefined)
    throw new UserError(`a field cannot be called \`${taken}\`, which has a meaning of its own: rename it in the data`);

  const tokenize = tokenizeWith(tokenizer, options.notice);
  const data: Datum[] = [];
  for await (const line of readJsonLines(path)) {
    const example = parseExample(line, fields);
    const tokens = naming(line, () => tokenize(example));
    check(tokens, line, maxLength, vocabSize);
    const datum = weightedDatum(tokens, line.source);
    if (datum.lossInputs.target_tokens.data.length === 0) throw line.fail(nothingToPredict(tokens));
    const kept = datum.lossInputs.positions!.data;
    const extra = fields.map((field) => [field, fieldRows(field, line, tokens.tokens.length - 1, kept, vocabSize)]);
    data.push(
      extra.length === 0 ? datum : { ...datum, lossInputs: { ...datum.lossInputs, ...Object.fromEntries(extra) } },
    );
  }
  return data;
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
function naming<Result>(line: JsonLine, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof UserError) throw line.fail(cause.message, { cause });
    throw cause;
  }
}

function check({ tokens }: WeightedTokens, { fail }: JsonLine, maxLength: number, vocabSize: number): void {
  if (tokens.length > maxLength) {
    throw fail(
      `the sequence has ${tokens.length} tokens, the limit is ${maxLength}: shorten it, or split it into several lines`,
    );
  }
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

/** A field's vectors of the kept rows, [M, V]. */
function fieldRows(
  field: string,
  { value, fail }: JsonLine,
  rows: number,
  kept: Int32Array,
  vocabSize: number,
): Tensor {
  const found = value[field];
  const expected = `expected ${formatShape([rows, vocabSize])}, a vector for each token but the first`;
  if (found === undefined) throw fail(`the field \`${field}\` is missing, ${expected}`);
  if (!Array.isArray(found) || !(found as unknown[]).every(Array.isArray))
    throw fail(`the field \`${field}\` is not a list of vectors, ${expected}`);
  const vectors = found as unknown[][];
  const odd = vectors.find(({ length }) => length !== vocabSize);
  if (vectors.length !== rows || odd) {
    throw fail(
      `the field \`${field}\` has shape ${formatShape([vectors.length, odd?.length ?? vocabSize])}, ${expected}`,
    );
  }
  const data = new Float32Array(kept.length * vocabSize);
  kept.forEach((row, i) => {
    const vector = vectors[row]!;
    const wrong = vector.findIndex((number) => typeof number !== "number");
    if (wrong !== -1) throw fail(`${field}[${row}][${wrong}] is ${JSON.stringify(vector[wrong])}, expected a number`);
    data.set(vector as number[], i * vocabSize);
  });
  return { data, shape: [kept.length, vocabSize] };
}

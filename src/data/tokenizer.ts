import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { UserError } from "../common/errors.ts";

/** Text to token ids and back, with what a model folder says about its special tokens. */
export interface Tokenizer {
  /** Where it was read from, for messages. */
  readonly folder: string;
  /** The highest id + 1, added tokens included. */
  readonly vocabularySize: number;
  /** Ids of the tokens that begin and end a text; null where the folder names none. */
  readonly bos: number | null;
  readonly eos: number | null;
  /** Every id that ends generation: `eos`, and those that generation_config.json or config.json add. */
  readonly stop: readonly number[];
  /** The Jinja source of the chat template; null where the folder has none. */
  readonly chatTemplate: string | null;
  /** The texts of the special tokens, named as templates name them: `bos_token`, `eos_token`, … */
  readonly specialTokens: Readonly<Record<string, string>>;
  /**
   * The token ids of a text. Special tokens that are written in the text are recognized; `specialTokens` (default false)
   * adds those that the tokenizer itself puts around a text.
   *
   * @throws UserError when the tokenizer writes a token that its vocabulary lacks.
   */
  encode(text: string, options?: { readonly specialTokens?: boolean }): Int32Array;
  /** The text of token ids. `specialTokens` (default false) keeps the special ones in it. */
  decode(tokens: ArrayLike<number>, options?: { readonly specialTokens?: boolean }): string;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads the tokenizer of a Hugging Face model folder: tokenizer.json and tokenizer_config.json. Special token ids that
 * the latter does not name come from config.json and generation_config.json.
 *
 * @throws UserError for a file that is missing or is not what its name says.
 * @example loadTokenizer("./models/base").encode("Hello") // Int32Array
 */
export function loadTokenizer(folder: string): Tokenizer {
  const settings = readJson(folder, "tokenizer_config.json");
  const tokenizer = construct(folder, settings);
  const configs = ["config.json", "generation_config.json"].flatMap((name) =>
    existsSync(join(folder, name)) ? [readJson(folder, name)] : [],
  );
  const specialTokens = readSpecialTokens(settings);

  const idOf = (name: "bos" | "eos"): number | null => {
    const written = specialTokens[`${name}_token`];
    if (written === undefined) return configs.flatMap((config) => ids(config[`${name}_token_id`]))[0] ?? null;
    const id = tokenizer.token_to_id(written);
    if (id !== undefined) return id;
    throw new UserError(
      `${join(folder, "tokenizer_config.json")} names ${written} as ${name}_token, but tokenizer.json has no such token: the two files must belong together`,
    );
  };
  const eos = idOf("eos");

  let highest = -1;
  for (const id of tokenizer.get_vocab(true).values()) highest = Math.max(highest, id);
  for (const id of tokenizer.get_added_tokens_decoder().keys()) highest = Math.max(highest, id);

  return {
    folder,
    vocabularySize: highest + 1,
    bos: idOf("bos"),
    eos,
    stop: [...new Set([...(eos === null ? [] : [eos]), ...configs.flatMap((config) => ids(config.eos_token_id))])],
    chatTemplate: readChatTemplate(folder, settings),
    specialTokens,
    encode(text, { specialTokens = false } = {}) {
      const { ids, tokens } = tokenizer.encode(text, { add_special_tokens: specialTokens });
      const unknown = ids.indexOf(undefined);
      if (unknown === -1) return Int32Array.from(ids);
      throw new UserError(`the tokenizer in ${folder} has no token for ${JSON.stringify(tokens[unknown])}`);
    },
    decode(tokens, { specialTokens = false } = {}) {
      if (tokens.length === 0) return "";
      return tokenizer.decode(Array.from(tokens), { skip_special_tokens: !specialTokens });
    },
  };
}

/**
 * Refuses a tokenizer whose ids do not fit the model's vocabulary. A model may have more ids than its tokenizer uses.
 *
 * @throws UserError with both numbers.
 */
export function checkTokenizer(
  { folder, vocabularySize }: Pick<Tokenizer, "folder" | "vocabularySize">,
  vocabSize: number,
): void {
  if (vocabularySize <= vocabSize) return;
  throw new UserError(
    `the tokenizer in ${folder} uses ${vocabularySize} token ids, the model's vocabulary has ${vocabSize}: use the tokenizer that belongs to the model`,
  );
}

function construct(folder: string, settings: Json): HuggingFaceTokenizer {
  const definition = readJson(folder, "tokenizer.json");
  try {
    const tokenizer = new HuggingFaceTokenizer(definition, settings);
    tokenizer.encode("a");
    return tokenizer;
  } catch (cause) {
    throw new UserError(
      `${join(folder, "tokenizer.json")} is not a tokenizer that klamp can read: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function readJson(folder: string, name: string): Json {
  const path = join(folder, name);
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = missing ? "there is no such file in the model folder" : (cause as Error).message;
    throw new UserError(`cannot read ${path}: ${reason}`, { cause });
  }
  try {
    const json: unknown = JSON.parse(source);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  } catch (cause) {
    throw new UserError(`${path} is not valid JSON: ${(cause as Error).message}`, { cause });
  }
  throw new UserError(`${path} must hold one JSON object`);
}

/** `"<s>"` or `{ "content": "<s>", … }`, under every key that ends in `_token`. */
function readSpecialTokens(settings: Json): Record<string, string> {
  const named: Record<string, string> = {};
  for (const [key, value] of Object.entries(settings)) {
    if (!key.endsWith("_token")) continue;
    const text = typeof value === "object" && value !== null ? (value as Json).content : value;
    if (typeof text === "string") named[key] = text;
  }
  return named;
}

/** A template's own file wins over tokenizer_config.json; of several named ones, `default` is taken. */
function readChatTemplate(folder: string, settings: Json): string | null {
  const file = join(folder, "chat_template.jinja");
  if (existsSync(file)) return readFileSync(file, "utf8");
  const written = settings.chat_template;
  if (!Array.isArray(written)) return typeof written === "string" ? written : null;
  const named = (written as Json[]).find(({ name }) => name === "default")?.template;
  return typeof named === "string" ? named : null;
}

/** `7` or `[7, 8]`, as config.json writes token ids. */
function ids(value: unknown): number[] {
  return [value].flat().filter((id): id is number => Number.isInteger(id));
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import { answerEnd, templateEnd } from "./answer-end.ts";
import { type ChatOptions, type ChatRenderer, chatRenderer } from "./chat/index.ts";
import { checkTokens } from "./tokenizer/check-tokens.ts";
import { declaredTokens } from "./tokenizer/declared-tokens.ts";
import { spellingNotice } from "./tokenizer/every-byte.ts";
import { type Json, readChatTemplate, readFolderJson, readSpecialTokens, tokenIds } from "./tokenizer/model-folder.ts";
import { type Pipeline, pipeline, type TokenizerDefinition } from "./tokenizer/pipeline.ts";
import { type Surrounding, surrounding } from "./tokenizer/surrounding.ts";
import { type TextCoder, textCoder } from "./tokenizer/text-coder.ts";

export type { EncodedSpans, EncodeOptions } from "./tokenizer/text-coder.ts";

/** Text to token ids and back, with what a model folder says about its special tokens. */
export interface Tokenizer {
  /** Where it was read from, for messages. */
  readonly folder: string;
  /** The highest id + 1, added tokens included. */
  readonly vocabularySize: number;
  /** Ids of the tokens that begin and end a text; null where the folder names none. */
  readonly bos: number | null;
  readonly eos: number | null;
  /** Every id that ends an answer: `eos`, those of generation_config.json and config.json, and the chat template's own. */
  readonly stop: readonly number[];
  /** What a user should read before training: where the folder's files disagree, and what klamp does. */
  readonly notices: readonly string[];
  /** The Jinja source of the chat template; null where the folder has none. */
  readonly chatTemplate: string | null;
  /** How conversations are rendered beside what the template says. Default: nothing else. */
  readonly chat?: Pick<ChatOptions, "kwargs" | "system"> | undefined;
  /** The texts of the special tokens, named as templates name them: `bos_token`, `eos_token`, … */
  readonly specialTokens: Readonly<Record<string, string>>;
  /**
   * The token ids of a text, those of Python's `tokenizers`. Special tokens that are written in the text are
   * recognized; `specialTokens` (default false) adds those that the tokenizer itself puts around a text and that it
   * does not begin or end with already.
   *
   * @throws UserError for a character that the vocabulary has no token for, and for half a surrogate pair.
   */
  encode: TextCoder["encode"];
  /** The same, with the characters of the text that each token holds something of. */
  encodeSpans: TextCoder["encodeSpans"];
  /** The text of token ids, as it is: nothing is cleaned up. `specialTokens` (default false) keeps the special ones in it. */
  decode: TextCoder["decode"];
}

export interface TokenizerOptions {
  /** The Jinja source of a chat template in place of the folder's own. */
  readonly chatTemplate?: string | undefined;
  /** Variables of the template, and a system prompt, for every conversation. */
  readonly chat?: Pick<ChatOptions, "kwargs" | "system"> | undefined;
}

/**
 * Reads the tokenizer of a Hugging Face model folder: tokenizer.json and tokenizer_config.json. Special token ids that
 * the latter does not name come from config.json and generation_config.json.
 *
 * @throws UserError for a file that is missing or is not what its name says, and for a kind that klamp cannot do exactly.
 * @example loadTokenizer("./models/base").encode("Hello") // Int32Array
 */
export function loadTokenizer(folder: string, options: TokenizerOptions = {}): Tokenizer {
  const settings = readFolderJson(folder, "tokenizer_config.json");
  const definition = readFolderJson(folder, "tokenizer.json") as unknown as TokenizerDefinition;
  const { stages, around } = construct(join(folder, "tokenizer.json"), definition, settings);
  const configs = ["config.json", "generation_config.json"].flatMap((name) =>
    existsSync(join(folder, name)) ? [[name, readFolderJson(folder, name)] as const] : [],
  );
  const specialTokens = readSpecialTokens(settings);
  const named = (key: "bos" | "eos"): [file: string, ids: number[]][] => [
    [SETTINGS, idsOf(specialTokens[`${key}_token`], stages, join(folder, SETTINGS), `${key}_token`)],
    ...configs.map(([name, config]): [string, number[]] => [name, tokenIds(config[`${key}_token_id`])]),
  ];

  const special = new Set(stages.added.filter((token) => token.special).map(({ id }) => id));
  for (const text of Object.values(specialTokens)) {
    const id = stages.vocabulary.get(text);
    if (id !== undefined) special.add(id);
  }
  const chatTemplate = options.chatTemplate ?? readChatTemplate(folder, settings);
  const ends = new Map(named("eos"));
  const mayEnd = new Set([...special, ...stages.added.map(({ id }) => id), ...[...ends.values()].flat()]);
  const renderer =
    chatTemplate === null ? null : () => chatRenderer({ chatTemplate, specialTokens, folder }, options.chat);
  const template = templateEnd(
    renderer,
    (text) => stages.tokenize(text).ids,
    (id) => mayEnd.has(id),
  );
  const end = answerEnd({ named: ends, template, textOf: (id) => stages.decode([id]) });
  let highest = -1;
  for (const id of stages.vocabulary.values()) highest = Math.max(highest, id);

  return {
    folder,
    vocabularySize: highest + 1,
    bos: named("bos").flatMap(([, ids]) => ids)[0] ?? null,
    ...end,
    notices: [...end.notices, ...spellingNotice(stages.tokenize), ...unreadNotice(renderer, options.chat?.kwargs)],
    chatTemplate,
    chat: options.chat,
    specialTokens,
    ...textCoder(folder, stages, around, special),
  };
}

/** Variables that are given for every conversation, and that the template does not read: a name may be misspelt. */
function unreadNotice(renderer: (() => ChatRenderer) | null, kwargs: Json = {}): string[] {
  if (renderer === null || Object.keys(kwargs).length === 0) return [];
  const { variables } = renderer();
  const unread = Object.keys(kwargs).filter((name) => !variables.has(name));
  return unread.map(
    (name) => `the chat template does not read \`${name}\`, which data.template_kwargs gives it: is it written so?`,
  );
}

const SETTINGS = "tokenizer_config.json";

function idsOf(token: string | undefined, { vocabulary }: Pipeline, path: string, key: string): number[] {
  if (token === undefined) return [];
  const id = vocabulary.get(token);
  if (id !== undefined) return [id];
  throw new UserError(
    `${path} names ${token} as ${key}, but tokenizer.json has no such token: the two files must belong together`,
  );
}

function construct(
  path: string,
  definition: TokenizerDefinition,
  settings: Json,
): { readonly stages: Pipeline; readonly around: Surrounding } {
  const broken = (reason: string, cause?: unknown) =>
    new UserError(`${path} is not a tokenizer that klamp can read: ${reason}`, { cause });
  if (typeof definition.model !== "object" || definition.model === null) throw broken("it has no `model`");
  try {
    checkTokens(definition);
    const stages = pipeline(definition, (added, vocabulary) => declaredTokens(added, settings, vocabulary));
    return { stages, around: surrounding(definition.post_processor) };
  } catch (cause) {
    throw broken(
      cause instanceof UserError ? cause.message : "a part of it has another form than Python's tokenizers write",
      cause,
    );
  }
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

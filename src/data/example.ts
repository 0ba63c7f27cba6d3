import { UserError } from "../common/errors.ts";
import { type Conversation, type Message, readConversation } from "./chat/index.ts";
import type { DataLine } from "./files/index.ts";
import { readAlpaca } from "./formats/alpaca.ts";
import { readConversationalPrompt } from "./formats/conversational-prompt.ts";
import { isGiven, refuseOtherKeys, refusePair } from "./formats/other-keys.ts";
import { readShareGpt } from "./formats/share-gpt.ts";
import { checkSoundText } from "./formats/sound-text.ts";
import { isWeight, readTokens, WEIGHTS } from "./formats/tokens.ts";
import { readTurns, refuseEmptyAnswers, refuseNothing } from "./formats/turns.ts";
import { shortJson } from "./short-json.ts";

/** What one line of data says, whatever its format: those of chats are conversations. */
export type Example =
  | ({ readonly format: "messages" } & Conversation)
  | { readonly format: "prompt"; readonly prompt: string; readonly completion: string }
  | { readonly format: "text"; readonly text: string }
  | { readonly format: "tokens"; readonly tokens: readonly number[]; readonly weights: readonly number[] };

/** The keys that make each format; one of them marks a line as being of that format. */
const KEYS = {
  messages: ["messages"],
  prompt: ["prompt", "completion"],
  text: ["text"],
  tokens: ["tokens", "weights"],
  shareGpt: ["conversations"],
  alpaca: ["instruction", "output"],
} as const satisfies Record<string, readonly string[]>;

type Format = keyof typeof KEYS;
type Json = Readonly<Record<string, unknown>>;

/** Keys that a format takes beside its own. */
const CHAT = ["tools", "documents", "chat_template_kwargs", "template_kwargs"];

/** Keys that no requested field may be called by: they have a meaning in a line, or in a datum. */
export const RESERVED_KEYS: readonly string[] = [
  ...Object.values(KEYS).flat(),
  ...CHAT,
  "weight",
  "target_tokens",
  "positions",
];

const EXPECTED =
  '{"messages"}, {"prompt", "completion"}, {"text"}, {"tokens", "weights"}, {"conversations"} or {"instruction", "input", "output"}';

/** The most keys that a message lists. */
const MOST_KEYS = 20;

/**
 * Reads one line. Keys that mean something about what is learned (`loss_mask`, `train_on_input`, `tools`, …) are honoured
 * or refused; all others (`id`, `category`, …) are ignored.
 *
 * @param fields keys that the caller reads.
 * @throws UserError when the line is of no format or of several, or a value has the wrong type.
 */
export function parseExample(line: Pick<DataLine, "value" | "fail">, fields: readonly string[] = []): Example {
  const { value, fail } = line;
  try {
    refusePair(value);
    const format = formatOf(value);
    const { example, taken } = READERS[format](value);
    refuseOtherKeys(value, [...fields, ...KEYS[format], ...taken, "weight"]);
    return example;
  } catch (cause) {
    throw cause instanceof UserError ? fail(cause.message, { cause }) : cause;
  }
}

/** How much a line counts: its `weight`, which multiplies that of each of its tokens. @throws UserError for what is no weight. */
export function lineWeight({ value: { weight }, fail }: Pick<DataLine, "value" | "fail">): number {
  if (weight === undefined || weight === null) return 1;
  if (isWeight(weight)) return weight;
  throw fail(`\`weight\` is ${shortJson(weight)}, expected how much the line counts: ${WEIGHTS}`);
}

function formatOf(line: Json): Format {
  const all = Object.keys(KEYS) as Format[];
  const has = (holds: (key: string) => boolean) => all.filter((format) => KEYS[format].some(holds));
  // A table has every column in every row: what is null is not there, unless nothing else is.
  const given = has((key) => isGiven(line[key]));
  const formats = given.length > 0 ? given : has((key) => Object.hasOwn(line, key));
  const [format] = formats;
  if (format !== undefined && formats.length === 1) return format;
  if (format === undefined) {
    const all = Object.keys(line);
    const keys = all.slice(0, MOST_KEYS).map((key) => `\`${key.length > 40 ? `${key.slice(0, 40)}…` : key}\``);
    if (all.length > MOST_KEYS) keys.push(`and ${all.length - MOST_KEYS} more`);
    throw new UserError(
      `this line has ${keys.length > 0 ? `the keys ${keys.join(", ")}` : "no keys"}, expected one of ${EXPECTED}`,
    );
  }
  const keys = formats.flatMap((format) => KEYS[format].filter((key) => Object.hasOwn(line, key)));
  throw new UserError(
    `this line mixes formats (${keys.map((key) => `\`${key}\``).join(", ")}): expected exactly one of ${EXPECTED}`,
  );
}

/** An example, and what of the line it took beside the keys of its format. */
interface Read {
  readonly example: Example;
  readonly taken: readonly string[];
}

const READERS: Readonly<Record<Format, (line: Json) => Read>> = {
  text: (line) => ({ example: { format: "text", text: readText(line, "text") }, taken: [] }),
  tokens: (line) => ({ example: { format: "tokens", ...readTokens(line) }, taken: [] }),
  prompt: (line) => {
    const { prompt, completion } = line;
    if (Array.isArray(prompt) && Array.isArray(completion)) {
      return conversation(line, readConversationalPrompt(prompt, completion), KEYS.prompt);
    }
    return {
      example: { format: "prompt", prompt: readText(line, "prompt"), completion: readText(line, "completion") },
      taken: [],
    };
  },
  messages: (line) => {
    const messages = readTurns(line.messages, "messages");
    refuseEmptyAnswers(messages, "messages");
    return conversation(line, messages);
  },
  shareGpt: (line) => {
    const messages = readShareGpt(line);
    refuseEmptyAnswers(messages, "conversations");
    return conversation(line, messages, [...KEYS.shareGpt, "system"]);
  },
  alpaca: (line) => conversation(line, readAlpaca(line), [...KEYS.alpaca, "input", "system", "history"]),
};

function conversation(line: Json, messages: readonly Message[], taken: readonly string[] = []): Read {
  const read = readConversation({ ...without(line, taken), messages });
  for (const [key, value] of Object.entries(read)) checkSoundText(value, key);
  return { example: { format: "messages", ...read }, taken: [...CHAT, ...taken] };
}

function readText(line: Json, key: string): string {
  const found = line[key];
  if (found === undefined) throw new UserError(`\`${key}\` is missing: a line of prompt and completion needs both`);
  if (typeof found !== "string") {
    const lists = key === "text" ? "" : ", or lists of messages for both `prompt` and `completion`";
    throw new UserError(`\`${key}\` is ${shortJson(found)}, expected text${lists}`);
  }
  if (key !== "prompt") refuseNothing(found, key);
  checkSoundText(found, `\`${key}\``);
  return found;
}

function without(line: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(line).filter(([key]) => !keys.includes(key)));
}

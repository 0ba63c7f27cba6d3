import { UserError } from "../common/errors.ts";
import { type Conversation, readConversation } from "./chat/index.ts";
import type { JsonLine } from "./json-lines.ts";

/** What one line of data says, in one of the four formats. */
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
} as const satisfies Record<Example["format"], readonly string[]>;

/** Keys that no requested field may be called by: they have a meaning in a line, or in a datum. */
export const RESERVED_KEYS: readonly string[] = [...Object.values(KEYS).flat(), "target_tokens", "positions"];

const EXPECTED = '{"messages"}, {"prompt", "completion"}, {"text"} or {"tokens", "weights"}';

/**
 * Reads one line. Other keys (`id`, `category`, …) are ignored, save those in a line of tokens that look as if they
 * weighted the loss (`labels`, `loss_mask`, …): there, ignoring would train on what was meant to be left out.
 *
 * @throws UserError when the line is of no format or of several, or a value has the wrong type.
 */
export function parseExample({ value, fail }: JsonLine, fields: readonly string[] = []): Example {
  const formats = (Object.keys(KEYS) as Example["format"][]).filter((format) =>
    KEYS[format].some((key) => Object.hasOwn(value, key)),
  );
  const [format] = formats;
  if (format === undefined) {
    const keys = Object.keys(value).map((key) => `\`${key}\``);
    throw fail(
      `this line has ${keys.length > 0 ? `the keys ${keys.join(", ")}` : "no keys"}, expected one of ${EXPECTED}`,
    );
  }
  if (formats.length > 1) {
    const keys = formats.flatMap((format) => KEYS[format].filter((key) => Object.hasOwn(value, key)));
    throw fail(
      `this line mixes formats (${keys.map((key) => `\`${key}\``).join(", ")}): expected exactly one of ${EXPECTED}`,
    );
  }
  const string = (key: string): string => {
    const found = value[key];
    if (found === undefined) throw fail(`\`${key}\` is missing: a line of prompt and completion needs both`);
    if (typeof found !== "string") throw fail(`\`${key}\` is ${show(found)}, expected text`);
    return found;
  };
  if (format === "text") return { format, text: string("text") };
  if (format === "prompt") return { format, prompt: string("prompt"), completion: string("completion") };
  if (format === "messages") return { format, ...parseConversation(value, fail) };

  const suspect = Object.keys(value).find(
    (key) => key !== "weights" && !fields.includes(key) && /weight|mask|label/i.test(key),
  );
  if (suspect !== undefined) {
    throw fail(`klamp would ignore \`${suspect}\`: give the loss weight of each token as \`weights\`, or take it out`);
  }
  const tokens = parseNumbers(
    value.tokens,
    "tokens",
    (id) => Number.isInteger(id) && id >= 0,
    "token ids, whole numbers from 0",
    fail,
  );
  if (value.weights === undefined) return { format, tokens, weights: tokens.map(() => 1) };
  const weights = parseNumbers(
    value.weights,
    "weights",
    (weight) => weight >= 0 && Number.isFinite(weight),
    "finite numbers of at least 0",
    fail,
  );
  if (weights.length !== tokens.length) {
    throw fail(`there are ${weights.length} weights for ${tokens.length} tokens, expected one for each`);
  }
  return { format, tokens, weights };
}

function parseConversation(value: JsonLine["value"], fail: JsonLine["fail"]): Conversation {
  try {
    return readConversation(value);
  } catch (cause) {
    throw cause instanceof UserError ? fail(cause.message, { cause }) : cause;
  }
}

function parseNumbers(
  value: unknown,
  key: string,
  holds: (value: number) => boolean,
  expected: string,
  fail: JsonLine["fail"],
): readonly number[] {
  if (value === undefined) throw fail(`\`${key}\` is missing, expected a list of ${expected}`);
  if (!Array.isArray(value)) throw fail(`\`${key}\` is ${show(value)}, expected a list of ${expected}`);
  const wrong = (value as unknown[]).findIndex((item) => typeof item !== "number" || !holds(item));
  if (wrong !== -1) throw fail(`${key}[${wrong}] is ${show(value[wrong])}, expected ${expected}`);
  return value as number[];
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "number") return String(value);
  const json = JSON.stringify(value);
  return json.length > 40 ? `${json.slice(0, 37)}…` : json;
}

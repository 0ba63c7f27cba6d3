import { parsePythonJson } from "../python-json.ts";
import { shortJson } from "../short-json.ts";
import { doubledKey } from "./doubled-key.ts";
import type { DataLine } from "./line.ts";

type Json = Readonly<Record<string, unknown>>;

/** Keys whose numbers a chat template may print. */
export const PRINTED: readonly string[] = [
  "messages",
  "conversations",
  "prompt",
  "completion",
  "tools",
  "documents",
  "chat_template_kwargs",
  "template_kwargs",
];

/**
 * One object of a file of JSON. What a chat template may print is as the text has it: 1.0 is no 1, and an integer has all
 * its digits.
 *
 * @param what it is called in messages: `line`, `item`.
 * @throws UserError for text that is not JSON, for another value than an object, and for a key that an object has twice.
 */
export function parseObject(text: string, what: string, fail: DataLine["fail"]): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = shortReason((cause as Error).message);
    throw fail(`this ${what} is not valid JSON (${reason}): each ${what} must hold one whole object`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const found = Array.isArray(value) ? "a list" : shortJson(value);
    throw fail(`this ${what} is ${found}, expected one object such as {"prompt": "…", "completion": "…"}`);
  }
  const doubled = doubledKey(text);
  if (doubled !== undefined) {
    throw fail(`the key ${shortJson(doubled)} is there twice in one object, and only one can count: take one out`);
  }
  return withExactNumbers(value as Json, text);
}

/** V8 quotes a piece of the text, which may hold line ends. */
function shortReason(message: string): string {
  return message.replaceAll("\n", "\\n");
}

function withExactNumbers(value: Json, text: string): Json {
  const printed = PRINTED.filter((key) => typeof value[key] === "object" && value[key] !== null);
  if (printed.length === 0) return value;
  const exact = parsePythonJson(text) as Json;
  return { ...value, ...Object.fromEntries(printed.map((key) => [key, exact[key]])) };
}

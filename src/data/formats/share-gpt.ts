import { UserError } from "../../common/errors.ts";
import type { Message } from "../chat/index.ts";
import { parseJsonText } from "../json-text.ts";
import { shortJson } from "../short-json.ts";
import { readTurns } from "./turns.ts";

type Json = Readonly<Record<string, unknown>>;

/** Who speaks, as ShareGPT's files name it, and the role of a message. */
const ROLES: Readonly<Record<string, string>> = {
  system: "system",
  human: "user",
  user: "user",
  gpt: "assistant",
  chatgpt: "assistant",
  bot: "assistant",
  model: "assistant",
  assistant: "assistant",
  tool: "tool",
  observation: "tool",
  function_response: "tool",
};

/**
 * `conversations` as messages: turns of `from` and `value`, or of `role` and `content`; `function_call` is a turn of the
 * assistant with a call of a tool. A line's `system` goes before.
 *
 * @throws UserError naming the turn, for whatever is not so.
 */
export function readShareGpt({ conversations, system }: Json): readonly Message[] {
  const isShareGpt =
    Array.isArray(conversations) && conversations.some((turn) => isObject(turn) && ("from" in turn || "value" in turn));
  const turns = isShareGpt ? (conversations as unknown[]).map(toMessage) : conversations;
  const messages = readTurns(turns, "conversations");
  if (system === undefined || system === null || system === "") return messages;
  if (typeof system !== "string") throw new UserError(`\`system\` is ${shortJson(system)}, expected text`);
  if (messages[0]?.role === "system") {
    throw new UserError("`system` and the first of `conversations` are both system prompts: keep one");
  }
  return [{ role: "system", content: system }, ...messages];
}

function toMessage(turn: unknown, i: number): unknown {
  if (!isObject(turn)) return turn;
  const { from, value, ...others } = turn;
  if (typeof value !== "string") throw new UserError(`conversations[${i}].value is ${shortJson(value)}, expected text`);
  if (from === "function_call") return { ...others, role: "assistant", content: null, tool_calls: readCalls(value, i) };
  if (typeof from === "string" && Object.hasOwn(ROLES, from)) return { ...others, role: ROLES[from], content: value };
  const names = [...Object.keys(ROLES), "function_call"].join(", ");
  throw new UserError(`conversations[${i}].from is ${shortJson(from)}, expected one of ${names}`);
}

function readCalls(value: string, i: number): unknown[] {
  let calls: unknown;
  try {
    calls = parseJsonText(value);
  } catch {
    // Told below, as any other value.
  }
  const all: unknown[] = Array.isArray(calls) ? calls : [calls];
  if (all.length > 0 && all.every((call) => isObject(call) && typeof call.name === "string")) {
    return all.map((call) => ({ type: "function", function: call }));
  }
  throw new UserError(
    `conversations[${i}].value is ${shortJson(value)}, expected the JSON of a call, {"name": "…", "arguments": {…}}`,
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { UserError } from "../../common/errors.ts";
import { parseJsonText } from "../json-text.ts";
import { meansLoss } from "../loss-keys.ts";
import { PythonFloat } from "../python/float.ts";

/** A part of a message's content. Other kinds than text are handed to the template as they are. */
export interface ContentPart {
  readonly type: string;
  readonly text?: string;
  readonly [key: string]: unknown;
}

/** One turn of a conversation. Other keys than these are handed to the chat template as they are. */
export interface Message {
  readonly role: string;
  /** Text, a list of parts, or null (or nothing) beside tool calls. */
  readonly content?: string | null | readonly ContentPart[];
  /** How much the turn counts: 0 is read and not learned. Default 1 for the assistant's turns. */
  readonly weight?: number | PythonFloat;
  readonly [key: string]: unknown;
}

/** What a chat template is given: turns, and what transformers hands it beside them. */
export interface Conversation {
  readonly messages: readonly Message[];
  readonly tools?: unknown;
  readonly documents?: unknown;
  /** Other variables of the template, such as `enable_thinking`. */
  readonly template_kwargs?: Readonly<Record<string, unknown>>;
  /** Other keys of the line, which the template is not given. */
  readonly otherKeys?: readonly string[];
}

/** The keys of a line that the template is given. */
const GIVEN = ["messages", "tools", "documents", "chat_template_kwargs", "template_kwargs"];

/**
 * Reads a conversation from the keys of a line of data: `messages`, `tools`, `documents`, and `chat_template_kwargs` or
 * `template_kwargs`. Tools may be JSON text, as some data sets have them.
 *
 * @throws UserError naming the key, for whatever is not so.
 */
export function readConversation(line: Readonly<Record<string, unknown>>): Conversation {
  const kwargs = line.chat_template_kwargs ?? line.template_kwargs;
  if (kwargs !== undefined && kwargs !== null && !isObject(kwargs)) {
    throw new UserError(`\`chat_template_kwargs\` is ${show(kwargs)}, expected an object of the template's variables`);
  }
  const tools = readList(line, "tools");
  const documents = readList(line, "documents");
  const otherKeys = Object.keys(line).filter((key) => !GIVEN.includes(key) && !isNothing(line[key]));
  return {
    messages: readMessages(line.messages),
    ...(tools !== undefined && { tools }),
    ...(documents !== undefined && { documents }),
    ...(isObject(kwargs) && { template_kwargs: kwargs }),
    ...(otherKeys.length > 0 && { otherKeys }),
  };
}

/** Null, or an empty text or list: what a column of a table has where a line says nothing. */
function isNothing(value: unknown): boolean {
  return value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}

function readList(line: Readonly<Record<string, unknown>>, key: string): readonly unknown[] | undefined {
  let value = line[key];
  if (typeof value === "string") {
    try {
      value = parseJsonText(value);
    } catch (cause) {
      throw new UserError(`\`${key}\` is text and cannot be read as JSON: ${(cause as Error).message}`, { cause });
    }
  }
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw new UserError(`\`${key}\` is ${show(value)}, expected a list of objects`);
}

/**
 * The turns of a conversation.
 *
 * @throws UserError naming the message and its key, for whatever is not so.
 */
export function readMessages(value: unknown): readonly Message[] {
  const expected = 'expected a list of {"role": "…", "content": "…"}';
  if (!Array.isArray(value) || value.length === 0) throw new UserError(`\`messages\` is ${show(value)}, ${expected}`);
  value.forEach((message: unknown, i) => {
    if (!isObject(message)) throw new UserError(`messages[${i}] is ${show(message)}, ${expected}`);
    if (typeof message.role !== "string" || message.role === "") {
      throw new UserError(`messages[${i}].role is ${show(message.role)}, expected text`);
    }
    checkContent(message, i);
    checkWeight(message, i);
    const odd = Object.keys(message).find((key) => key !== "weight" && meansLoss(key));
    if (odd === undefined) return;
    throw new UserError(
      `klamp would ignore \`messages[${i}].${odd}\`: say with \`weight\` how much the turn counts (0 for not at all), or take it out`,
    );
  });
  return value as readonly Message[];
}

function checkContent(message: Readonly<Record<string, unknown>>, i: number): void {
  const { content } = message;
  if (typeof content === "string") return;
  if (Array.isArray(content)) {
    const odd = content.findIndex((part) => !isObject(part) || typeof part.type !== "string");
    if (odd === -1) {
      checkParts(content as readonly ContentPart[], i);
      return;
    }
    throw new UserError(
      `messages[${i}].content[${odd}] is ${show(content[odd])}, expected a part such as {"type": "text", "text": "…"}`,
    );
  }
  const says = ["tool_calls", "reasoning_content", "reasoning", "thinking"].some((key) => {
    const value = message[key];
    return Array.isArray(value) ? value.length > 0 : typeof value === "string" && value !== "";
  });
  if ((content === null || content === undefined) && says) return;
  throw new UserError(
    `messages[${i}].content is ${show(content)}, expected text, a list of parts, or null beside tool calls`,
  );
}

/** A turn counts as a whole: what a part says of the loss would be ignored. */
function checkParts(parts: readonly ContentPart[], i: number): void {
  for (const [at, part] of parts.entries()) {
    const odd = Object.keys(part).find(meansLoss);
    if (odd === undefined) continue;
    throw new UserError(
      `klamp would ignore \`messages[${i}].content[${at}].${odd}\`: a turn counts as a whole, so give the \`weight\` to the message, or take it out`,
    );
  }
}

function checkWeight({ role, weight }: Readonly<Record<string, unknown>>, i: number): void {
  if (weight === undefined) return;
  const number = weight instanceof PythonFloat ? weight.value : weight;
  if (typeof number !== "number" || !Number.isFinite(Math.fround(number)) || number < 0) {
    throw new UserError(
      `messages[${i}].weight is ${show(weight)}, expected a number from 0 to 3.4e38, the most that float32 holds`,
    );
  }
  if (number > 0 && role !== "assistant") {
    throw new UserError(
      `messages[${i}].weight is ${show(weight)}, and the role \`${String(role)}\` is not learned: make it 0, or take it out`,
    );
  }
}

/** How much a turn counts in the loss. */
export function weightOf({ role, weight }: Message): number {
  return role === "assistant" ? Number(weight ?? 1) : 0;
}

/** The text of a message's content, parts joined; empty where there is none. */
export function contentText({ content }: Message): string {
  if (typeof content === "string") return content;
  return Array.isArray(content) ? (content as readonly ContentPart[]).map(({ text }) => text ?? "").join("") : "";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof PythonFloat);
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "bigint" || value instanceof PythonFloat) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `a list of ${value.length}`;
  if (typeof value === "object" && value !== null)
    return `an object of the keys ${Object.keys(value).slice(0, 5).join(", ")}`;
  const json = JSON.stringify(value);
  return json.length > 40 ? `${json.slice(0, 37)}…` : json;
}

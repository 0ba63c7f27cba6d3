import { UserError } from "../../common/errors.ts";
import { type ContentPart, type Conversation, contentText, type Message } from "./conversation.ts";
import type { ChatRenderer, RenderedChat } from "./renderer.ts";

/** What of a message the template writes nothing of. */
export interface Unwritten {
  readonly turn: number;
  readonly key: "content" | "tool_calls";
}

const MARK = " klamp";
/** So many renderings at most are made of one conversation: what they leave open counts as written. */
const MOST = 64;

/** Contents and calls that do not reach the text: others in their place make the same one. */
export function unwrittenParts(
  conversation: Conversation,
  rendered: RenderedChat,
  renderer: ChatRenderer,
): Unwritten[] {
  const { messages } = conversation;
  let renderings = 0;
  const reaches = (turn: number, changed: Message): boolean => {
    if (renderings++ >= MOST) return true;
    try {
      return renderer.render({ ...conversation, messages: messages.with(turn, changed) }).text !== rendered.text;
    } catch (cause) {
      if (cause instanceof UserError) return true;
      throw cause;
    }
  };
  return messages.flatMap((message, turn): Unwritten[] => {
    const stretch = rendered.turns[turn];
    const text = stretch === undefined ? rendered.text : rendered.text.slice(stretch.start, stretch.end);
    const words = contentText(message).match(/[\p{L}\p{N}]+/gu) ?? [];
    const [name] = callNames(message);
    const found: Unwritten[] = [];
    // Where a word is there, something was written; else another rendering has to tell.
    if (words.length > 0 && !words.some((word) => text.includes(word)) && !reaches(turn, otherContent(message))) {
      found.push({ turn, key: "content" });
    }
    if (name !== undefined && !text.includes(name) && !reaches(turn, otherCalls(message))) {
      found.push({ turn, key: "tool_calls" });
    }
    return found;
  });
}

function otherContent(message: Message): Message {
  const { content } = message;
  if (typeof content === "string") return { ...message, content: content + MARK };
  const parts = content as readonly ContentPart[];
  return {
    ...message,
    content: parts.map((part) => (typeof part.text === "string" ? { ...part, text: part.text + MARK } : part)),
  };
}

type Call = Readonly<Record<string, unknown>>;

function callsOf({ tool_calls }: Message): readonly Call[] {
  return Array.isArray(tool_calls) ? (tool_calls as unknown[]).filter(isObject) : [];
}

function callNames(message: Message): string[] {
  return callsOf(message)
    .map((call) => (isObject(call.function) ? call.function.name : call.name))
    .filter((name) => typeof name === "string");
}

function otherCalls(message: Message): Message {
  const renamed = (call: Call): Call => ({ ...call, name: `${String(call.name)}${MARK}` });
  const calls = callsOf(message).map((call) =>
    isObject(call.function) ? { ...call, function: renamed(call.function) } : renamed(call),
  );
  return { ...message, tool_calls: calls };
}

function isObject(value: unknown): value is Call {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

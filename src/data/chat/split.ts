import { UserError } from "../../common/errors.ts";
import type { Segment } from "../segment.ts";
import type { Answer } from "./answer.ts";
import { answersOf } from "./answers.ts";
import { type Conversation, type Message, weightOf } from "./conversation.ts";
import { markedAnswers } from "./marked.ts";
import { withTextContent } from "./parts.ts";
import type { ChatRenderer } from "./renderer.ts";
import { type Unwritten, unwrittenParts } from "./unwritten.ts";

/** What of a conversation is not shown or learned as its line may mean it. */
export interface ChatFacts {
  /** Turns of the assistant that are given and not learned, since they are written differently once later ones are there. */
  readonly passing: readonly number[];
  /** What the template writes nothing of. */
  readonly unwritten: readonly Unwritten[];
  /** What is given to the template, and it does not read: `tools`, `documents`, names of `chat_template_kwargs`. */
  readonly unread: readonly string[];
  readonly messages: readonly Message[];
}

/**
 * Splits a conversation's rendering into what the model is given and what it is to say: what the template marks with
 * `{% generation %}`, or, where it marks nothing, what it writes for an assistant's turn after the prompt that the model
 * is given to begin it with, terminator included. A turn of weight 0 is given. Turns after the last of the assistant are
 * left out: nothing in them is predicted.
 *
 * A turn that the template writes differently once later ones are there (as those that leave earlier reasoning out) is
 * given as it is written then, and not learned: the model would not be asked to say it so.
 *
 * @param told is given what is not shown or learned.
 * @throws UserError when there is nothing to learn, or what is learned cannot be told from what is given.
 */
export function splitChat(
  conversation: Conversation,
  renderer: ChatRenderer,
  told: (facts: ChatFacts) => void = () => {},
): Segment[] {
  const { messages, ...rest } = chatFor(renderer, conversation);
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  if (last === -1) throw new UserError("no message has the role `assistant`: there is nothing to learn here");
  if (messages.every((message) => weightOf(message) === 0)) {
    throw new UserError("every message of the assistant has weight 0: there is nothing to learn here");
  }
  const whole = { ...rest, messages: messages.slice(0, last + 1) };
  const rendered = renderer.render(whole);
  const { answers, passing } = renderer.marksGeneration
    ? { answers: markedAnswers(whole, rendered), passing: [] }
    : answersOf(whole, rendered, renderer);
  const unwritten = unwrittenParts(whole, rendered, renderer).filter(({ turn }) => !passing.includes(turn));
  const silent = unwritten.find(({ turn }) => weightOf(whole.messages[turn]!) > 0);
  if (silent !== undefined) throw new UserError(notWritten(silent, whole.messages[silent.turn]!));
  told({ passing, unwritten, unread: unreadNames(whole, renderer), messages: whole.messages });
  return cut(rendered.text, answers);
}

function notWritten({ turn, key }: Unwritten, { content }: Message): string {
  const how =
    key === "content" && typeof content === "string"
      ? 'give it as a list of parts, [{"type": "text", "text": "…"}], if the template takes those, or'
      : "take the line out, or";
  return `the chat template writes nothing of messages[${turn}].${key}, so the model would not learn it: ${how} use a template that writes it (data.chat_template)`;
}

function unreadNames({ tools, documents, template_kwargs = {} }: Conversation, { variables }: ChatRenderer): string[] {
  const given = Object.entries({ tools, documents }).filter(([, value]) => Array.isArray(value) && value.length > 0);
  const names = [...given.map(([name]) => name), ...Object.keys(template_kwargs)];
  return names.filter((name) => !variables.has(name));
}

/**
 * A conversation as a renderer is to have it: with the system prompt of its options, and contents as the template takes them.
 *
 * @throws UserError for a key beside the messages that the template reads, and for parts that it cannot show.
 */
export function chatFor(renderer: ChatRenderer, conversation: Conversation): Conversation {
  const { otherKeys = [], ...whole } = renderer.complete(conversation);
  const read = otherKeys.find((key) => renderer.variables.has(key));
  if (read === undefined) return withTextContent(whole, renderer);
  throw new UserError(
    `the chat template reads \`${read}\`, which stands beside the messages and would be ignored: move it into \`chat_template_kwargs\``,
  );
}

/** The whole text as given and learned stretches. */
function cut(text: string, answers: readonly Answer[]): Segment[] {
  const segments: Segment[] = [];
  let at = 0;
  const add = (end: number, weight: number) => {
    if (end > at) segments.push({ text: text.slice(at, end), weight });
    at = Math.max(at, end);
  };
  for (const { start, end, weight } of answers) {
    add(start, 0);
    add(end, weight);
  }
  add(text.length, 0);
  return segments;
}

import { UserError } from "../../common/errors.ts";
import { type Conversation, contentText, type Message } from "./conversation.ts";
import type { ChatRenderer } from "./renderer.ts";

/**
 * The conversation as the template takes it: contents that are lists of text parts become text where the template knows
 * no parts, which is where it refuses them, or prints the list.
 *
 * @throws UserError for parts other than text that such a template cannot show.
 */
export function withTextContent(conversation: Conversation, renderer: ChatRenderer): Conversation {
  if (!conversation.messages.some(({ content }) => Array.isArray(content))) return conversation;
  if (takesParts(conversation, renderer)) return conversation;
  return { ...conversation, messages: conversation.messages.map(joinParts) };
}

function takesParts(conversation: Conversation, renderer: ChatRenderer): boolean {
  try {
    return !/\{'type': '|'type': 'text'/.test(renderer.render(conversation).text);
  } catch (cause) {
    if (cause instanceof UserError) return false;
    throw cause;
  }
}

function joinParts(message: Message, i: number): Message {
  const { content } = message;
  if (!Array.isArray(content)) return message;
  const odd = content.findIndex((part: unknown) => typeof (part as { text?: unknown }).text !== "string");
  if (odd === -1) return { ...message, content: contentText(message) };
  throw new UserError(`messages[${i}].content[${odd}] is not text, and the chat template takes text alone`);
}

import { UserError } from "../../common/errors.ts";
import type { Segment } from "../segment.ts";
import type { Answer } from "./answer.ts";
import { answersOf } from "./answers.ts";
import { type Conversation, weightOf } from "./conversation.ts";
import { markedAnswers } from "./marked.ts";
import { withTextContent } from "./parts.ts";
import type { ChatRenderer } from "./renderer.ts";

/**
 * Splits a conversation's rendering into what the model is given and what it is to say: what the template marks with
 * `{% generation %}`, or, where it marks nothing, what it writes for an assistant's turn after the prompt that the model
 * is given to begin it with, terminator included. A turn of weight 0 is given. Turns after the last of the assistant are
 * left out: nothing in them is predicted.
 *
 * A turn that the template writes differently once later ones are there (as those that leave earlier reasoning out) is
 * given as it is written then, and not learned: the model would not be asked to say it so.
 *
 * @throws UserError when there is nothing to learn, or what is learned cannot be told from what is given.
 */
export function splitChat(conversation: Conversation, renderer: ChatRenderer): Segment[] {
  const { messages, otherKeys = [], ...rest } = renderer.complete(conversation);
  const read = otherKeys.find((key) => renderer.variables.has(key));
  if (read !== undefined) {
    throw new UserError(
      `the chat template reads \`${read}\`, which stands beside the messages and would be ignored: move it into \`chat_template_kwargs\``,
    );
  }
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  if (last === -1) throw new UserError("no message has the role `assistant`: there is nothing to learn here");
  if (messages.every((message) => weightOf(message) === 0)) {
    throw new UserError("every message of the assistant has weight 0: there is nothing to learn here");
  }
  const whole = withTextContent({ ...rest, messages: messages.slice(0, last + 1) }, renderer);
  const rendered = renderer.render(whole);
  const answers = renderer.marksGeneration ? markedAnswers(whole, rendered) : answersOf(whole, rendered, renderer);
  return cut(rendered.text, answers);
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

import { UserError } from "../../common/errors.ts";
import type { Answer } from "./answer.ts";
import { type Conversation, weightOf } from "./conversation.ts";
import type { RenderedChat } from "./renderer.ts";

/** What the template's `{% generation %}` marks, each with the weight of the turn that it is in. */
export function markedAnswers({ messages }: Conversation, { marks, turns }: RenderedChat): Answer[] {
  const answers: Answer[] = [];
  for (const { start, end } of [...marks].sort((a, b) => a.start - b.start)) {
    const turn = turns.findIndex((stretch) => stretch !== undefined && stretch.start <= start && start < stretch.end);
    const message = messages[turn];
    // A mark in no turn is the template's own; where it marks another role's turn, it says that this is learned.
    const weight = message === undefined || message.role !== "assistant" ? 1 : weightOf(message);
    const from = Math.max(start, answers.at(-1)?.end ?? 0);
    if (end > from) answers.push({ start: from, end, weight });
  }
  if (answers.some(({ weight }) => weight > 0)) return answers;
  throw new UserError(
    "the chat template marks nothing of this conversation with {% generation %}: there is nothing to learn here",
  );
}

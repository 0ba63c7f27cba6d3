import { Template } from "@huggingface/jinja";
import { UserError } from "../common/errors.ts";
import type { Message } from "./example.ts";

/** Writes a conversation as the model is used to seeing it. */
export type RenderChat = (messages: readonly Message[], options: { readonly generationPrompt: boolean }) => string;

/** What a tokenizer knows of chats. */
export interface ChatSource {
  /** Where it was read from, for messages. */
  readonly folder: string;
  readonly chatTemplate: string | null;
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** A stretch of a rendered conversation: what the model is given, or what it is to say. */
export interface ChatSegment {
  readonly text: string;
  readonly isCompletion: boolean;
}

/**
 * The model folder's chat template, ready to render.
 *
 * @throws UserError when there is none or it cannot be parsed; rendering throws one when the template refuses a conversation.
 */
export function chatRenderer({ chatTemplate, specialTokens, folder }: ChatSource): RenderChat {
  if (chatTemplate === null) {
    throw new UserError(
      `messages need a chat template, and ${folder} has none: add one to its tokenizer_config.json, or give the data as {"prompt", "completion"}`,
    );
  }
  let template: Template;
  try {
    template = new Template(chatTemplate);
  } catch (cause) {
    throw new UserError(`the chat template in ${folder} cannot be parsed: ${(cause as Error).message}`, { cause });
  }
  return (messages, { generationPrompt }) => {
    try {
      return template.render({ ...specialTokens, messages, add_generation_prompt: generationPrompt });
    } catch (cause) {
      throw new UserError(`the chat template does not take this conversation: ${(cause as Error).message}`, { cause });
    }
  };
}

/**
 * Splits a conversation into what the model is given and what it is to say. The completion of an assistant turn is what
 * the template adds to the turns before it once they end in the generation prompt. Turns after the last of the assistant
 * are left out: nothing in them is predicted.
 *
 * @throws UserError when no turn is the assistant's, or when a later turn changes how the template writes an earlier one.
 */
export function splitChat(messages: readonly Message[], render: RenderChat): ChatSegment[] {
  const segments: ChatSegment[] = [];
  let written = "";
  const append = (whole: string, turn: number, isCompletion: boolean) => {
    if (!whole.startsWith(written)) {
      throw new UserError(
        `the chat template writes the turns before messages[${turn}] differently once it is there, so its completion cannot be told from its prompt: keep one assistant turn a line, or give the data as {"prompt", "completion"}`,
      );
    }
    segments.push({ text: whole.slice(written.length), isCompletion });
    written = whole;
  };
  for (const [turn, { role }] of messages.entries()) {
    if (role !== "assistant") continue;
    append(render(messages.slice(0, turn), { generationPrompt: true }), turn, false);
    append(render(messages.slice(0, turn + 1), { generationPrompt: false }), turn, true);
  }
  if (segments.length === 0) throw new UserError("no message has the role `assistant`: there is nothing to learn here");
  return segments;
}

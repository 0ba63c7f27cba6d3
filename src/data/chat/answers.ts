import { UserError } from "../../common/errors.ts";
import type { Stretch } from "../jinja/run.ts";
import type { Answer, RenderPrefix } from "./answer.ts";
import { commonLength } from "./common.ts";
import { type Conversation, contentText, weightOf } from "./conversation.ts";
import { headerLength } from "./header.ts";
import { COMPARED, lastingTurns, type TurnEnds } from "./lasting.ts";
import type { ChatRenderer, RenderedChat } from "./renderer.ts";

/** What the assistant says, and which of its turns are not learned since they are written differently once later ones are there. */
export interface Answers {
  readonly answers: readonly Answer[];
  readonly passing: readonly number[];
}

/** What the assistant says in a rendering that ends with its turn, told by what the template writes for parts of it. */
export function answersOf(conversation: Conversation, rendered: RenderedChat, renderer: ChatRenderer): Answers {
  const { messages } = conversation;
  const prefix: RenderPrefix = (count, options) => {
    try {
      return renderer.render({ ...conversation, messages: messages.slice(0, count) }, options).text;
    } catch (cause) {
      if (cause instanceof UserError) return undefined;
      throw cause;
    }
  };
  const learned = messages.flatMap((message, i) => (weightOf(message) > 0 ? [i] : []));
  const stretches = learned.every((turn) => isWritten(rendered.turns[turn]))
    ? new Map(learned.map((turn) => [turn, rendered.turns[turn]!]))
    : stretchesByPrefix(rendered.text, learned, prefix);
  const ends: TurnEnds = { text: rendered.text, last: messages.length - 1, stretches };
  const lasting = lastingTurns(ends, (turn) => contentText(messages[turn]!), prefix);
  const promptOf = generationPrompts(rendered.text, stretches, messages.length, prefix);
  const answers = [...lasting].map(([turn, end]): Answer => {
    const { start } = stretches.get(turn)!;
    const content = contentText(messages[turn]!);
    const written = rendered.text.slice(start, end);
    return { start: start + headerLength(written, promptOf(turn), content), end, weight: weightOf(messages[turn]!) };
  });
  const found = answers.filter(({ start, end }) => end > start);
  if (found.length > 0) return { answers: found, passing: learned.filter((turn) => !lasting.has(turn)) };
  if (lasting.size > 0) {
    const turn = [...lasting.keys()].at(-1);
    throw new UserError(`the chat template writes nothing for messages[${turn}] but the prompt that begins it`);
  }
  throw new UserError(
    `the chat template writes messages[${learned.at(-1)}] differently once later ones are there, as templates do that leave earlier reasoning out, so what is learned cannot be told: end the line with that message`,
  );
}

function isWritten(stretch: Stretch | undefined): boolean {
  return stretch !== undefined && stretch.end > stretch.start;
}

/** Where turns are written, where no loop tells: from where the turns before end to where the turn itself does. */
function stretchesByPrefix(text: string, turns: readonly number[], prefix: RenderPrefix): Map<number, Stretch> {
  const stretches = new Map<number, Stretch>();
  for (const turn of turns) {
    const before = turn === 0 ? "" : prefix(turn);
    const prompt = prefix(turn, { generationPrompt: true });
    const after = prefix(turn + 1);
    if (after === undefined) continue;
    // Templates that refuse to end in a user's turn are asked for the prompt, of which the turn has the common part.
    const start = Math.min(commonLength(before ?? prompt ?? "", text), commonLength(prompt ?? before ?? "", text));
    stretches.set(turn, { start, end: commonLength(after, text) });
  }
  if (stretches.size > 0) return stretches;
  throw new UserError(
    "the chat template writes no turn of the assistant by itself, so its answers cannot be told from what it is given",
  );
}

/** The prompt that the model is given to begin each turn with: as the template has it there, or at the end of all. */
function generationPrompts(
  text: string,
  stretches: ReadonlyMap<number, Stretch>,
  count: number,
  prefix: RenderPrefix,
): (turn: number) => string {
  const at = (turn: number): string | undefined => {
    const { start } = stretches.get(turn)!;
    const asked = prefix(turn, { generationPrompt: true });
    if (asked?.startsWith(text.slice(0, start))) return asked.slice(start);
    // The turns before are written differently when it is asked for; what the template adds to ask is still the prompt.
    const before = prefix(turn);
    return before !== undefined && asked?.startsWith(before) ? asked.slice(before.length) : undefined;
  };
  const last = [...stretches.keys()].at(-1)!;
  const usual = at(last) ?? promptAtEnd(text, count, prefix);
  return (turn) => {
    const { start } = stretches.get(turn)!;
    const isUsual = turn === last || stretches.size > COMPARED || text.startsWith(usual ?? "", start);
    if (usual !== undefined && isUsual) return usual;
    const prompt = at(turn) ?? usual;
    if (prompt !== undefined) return prompt;
    throw new UserError(
      `the chat template writes the turns before messages[${turn}] differently once it is there, and no prompt to begin it with can be told: give the data as {"prompt", "completion"}`,
    );
  };
}

/** What the template adds to the whole conversation to ask for another turn. */
function promptAtEnd(text: string, count: number, prefix: RenderPrefix): string | undefined {
  const asked = prefix(count, { generationPrompt: true });
  return asked?.startsWith(text) ? asked.slice(text.length) : undefined;
}

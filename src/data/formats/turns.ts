import { UserError } from "../../common/errors.ts";
import { contentText, type Message, readMessages } from "../chat/index.ts";
import { isGiven } from "./other-keys.ts";

type Json = Readonly<Record<string, unknown>>;

/** Turns of a key, which messages name. A `weight` of null is as if left out. @throws UserError naming the turn. */
export function readTurns(value: unknown, key: string): readonly Message[] {
  const turns = Array.isArray(value) ? (value as unknown[]).map(withoutNullWeight) : value;
  try {
    return readMessages(turns);
  } catch (cause) {
    if (!(cause instanceof UserError) || key === "messages") throw cause;
    throw new UserError(cause.message.replaceAll(/\bmessages(?=[[`])/g, key), { cause });
  }
}

function withoutNullWeight(turn: unknown): unknown {
  if (typeof turn !== "object" || turn === null || (turn as Json).weight !== null) return turn;
  const { weight, ...rest } = turn as Json;
  return rest;
}

/** Keys of a turn that say something beside its content. */
const BESIDE = ["tool_calls", "reasoning_content", "reasoning", "thinking"];

/** @throws UserError when a turn that is learned says nothing: the model would learn to end at once. */
export function refuseEmptyAnswers(messages: readonly Message[], key: string): void {
  const empty = messages.findIndex(
    (message) =>
      message.role === "assistant" &&
      Number(message.weight ?? 1) > 0 &&
      contentText(message).trim() === "" &&
      !BESIDE.some((beside) => isGiven(message[beside])),
  );
  if (empty === -1) return;
  const how = contentText(messages[empty]!) === "" ? "empty" : "white space alone";
  throw new UserError(
    `${key}[${empty}].content is ${how}, and the model would learn to say nothing: take the line out, or give the turn \`"weight": 0\``,
  );
}

/** @throws UserError for a text that is to be learned and says nothing. */
export function refuseNothing(text: string, key: string): void {
  if (text.trim() !== "") return;
  const how = text === "" ? "empty" : "white space alone";
  throw new UserError(`\`${key}\` is ${how}, and the model would learn to say nothing: take the line out`);
}

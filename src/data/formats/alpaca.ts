import { UserError } from "../../common/errors.ts";
import type { Message } from "../chat/index.ts";
import { shortJson } from "../short-json.ts";
import { refuseNothing } from "./turns.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * A line of Alpaca's keys as a conversation: `instruction` is what the user says, with `input`, where there is one, in the
 * line below it; `output` is the answer. `system` goes before, and so do the pairs of question and answer of `history`.
 *
 * @throws UserError naming the key, for whatever is not so.
 */
export function readAlpaca(line: Json): readonly Message[] {
  const input = text(line, "input", "");
  const instruction = text(line, "instruction");
  const output = text(line, "output");
  refuseNothing(output, "output");
  const system = text(line, "system", "");
  return [
    ...(system === "" ? [] : [{ role: "system", content: system }]),
    ...readHistory(line.history),
    { role: "user", content: input === "" ? instruction : `${instruction}\n${input}` },
    { role: "assistant", content: output },
  ];
}

function text(line: Json, key: string, otherwise?: string): string {
  const found = line[key] ?? otherwise;
  if (typeof found === "string") return found;
  const all = found === undefined ? "text: a line of Alpaca's has `instruction` and `output`" : "text";
  throw new UserError(`\`${key}\` is ${shortJson(line[key])}, expected ${all}`);
}

function readHistory(history: unknown): Message[] {
  if (history === undefined || history === null) return [];
  const isPair = (pair: unknown): pair is [string, string] =>
    Array.isArray(pair) && pair.length === 2 && pair.every((side) => typeof side === "string");
  if (!Array.isArray(history) || !history.every(isPair)) {
    throw new UserError(`\`history\` is ${shortJson(history)}, expected a list of ["question", "answer"]`);
  }
  return history.flatMap(([question, answer]) => [
    { role: "user", content: question },
    { role: "assistant", content: answer },
  ]);
}

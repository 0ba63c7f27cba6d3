import type { Message } from "../chat/index.ts";
import { readTurns, refuseEmptyAnswers } from "./turns.ts";

/** A prompt and a completion that are both lists of messages, as one conversation: what the prompt holds is not learned. */
export function readConversationalPrompt(prompt: unknown, completion: unknown): readonly Message[] {
  const asked = readTurns(prompt, "prompt").map((turn) => (turn.role === "assistant" ? { ...turn, weight: 0 } : turn));
  const answered = readTurns(completion, "completion");
  refuseEmptyAnswers(answered, "completion");
  return [...asked, ...answered];
}

import { parseExample } from "../data/example.ts";
import { Faults } from "../data/faults.ts";
import { type DataLine, readTextOrData } from "../data/files/index.ts";
import { isGiven } from "../data/formats/other-keys.ts";
import { toPython } from "../data/python/convert.ts";
import { dumpJson } from "../data/python/json-dump.ts";
import type { Prompt } from "./answers.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * The prompts of a file: of data in any of the forms that `loadDataset` reads, where an answer is what is asked for and need
 * not be there; or of plain text, one a line.
 *
 * @throws UserError naming file and line, of all lines that are wrong the first ten.
 */
export async function readPrompts(path: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  const faults = new Faults();
  for await (const line of readTextOrData(path)) {
    const prompt = faults.attempt(() => (typeof line === "string" ? line : promptOf(line)));
    if (prompt !== undefined) prompts.push(prompt);
  }
  faults.check();
  return prompts;
}

/** A prompt as JSON, its numbers as the file has them. */
export function promptJson(prompt: Prompt): string {
  return dumpJson(toPython(prompt), { separators: [",", ":"] });
}

function promptOf({ value, fail }: DataLine): Prompt {
  const example = parseExample({ value: withAnswer(value), fail });
  switch (example.format) {
    case "prompt":
      return example.prompt;
    case "text":
      return example.text;
    case "messages": {
      const { format: _, messages, ...rest } = example;
      // Before the answer that was put there stands one of the file's own, or a question.
      const asked = messages.slice(0, messages.at(-2)?.role === "assistant" ? -2 : -1);
      if (asked.length === 0) throw fail("there is no turn before the answer: give what is asked");
      return { ...rest, messages: asked };
    }
    case "tokens":
      throw fail("`tokens` are no prompt here: give a prompt, messages, or text");
  }
}

/** Any answer, which stands where the model's is to come. */
const ANSWER = ".";

function withAnswer(line: Json): Json {
  const answer = { role: "assistant", content: ANSWER };
  const shareGptAnswer = { from: "gpt", value: ANSWER };
  const { messages, conversations, prompt, instruction } = line;
  const isShareGpt =
    Array.isArray(conversations) && conversations.some((turn: Json | null) => turn?.from !== undefined);
  return {
    ...line,
    // A table has every column in every row: what is empty is not there.
    ...(Array.isArray(messages) && isGiven(messages) && { messages: [...messages, answer] }),
    ...(Array.isArray(conversations) &&
      isGiven(conversations) && { conversations: [...conversations, isShareGpt ? shareGptAnswer : answer] }),
    ...(isGiven(prompt) && { completion: Array.isArray(prompt) ? [answer] : ANSWER }),
    ...(isGiven(instruction) && { output: ANSWER }),
  };
}

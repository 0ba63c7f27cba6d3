import { UserError } from "../common/errors.ts";
import { askedTokens } from "./asked-tokens.ts";
import { chatRenderer, type RenderChat, splitChat } from "./chat.ts";
import { type Example, parseExample } from "./example.ts";
import { readJsonLines } from "./json-lines.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { BORDER_IN_TOKEN } from "./weighted-tokens.ts";

/** One question of an evaluation set and its right answer. */
export interface Question {
  /** What the model is given. */
  readonly prompt: Int32Array;
  /** What it should say. */
  readonly completion: string;
  /** The same in tokens, up to and with the token that ends it. */
  readonly completionTokens: Int32Array;
  /** `test.jsonl:12` */
  readonly source: string;
}

/**
 * Reads a JSON Lines file as an evaluation set: lines of `{"prompt", "completion"}`, or of `{"messages"}` that end with
 * an assistant turn, the answer. Other keys are ignored. Tokens are those that `loadDataset` would train on.
 *
 * @param notice is told, once, what a user should know of prompts that end within a token.
 * @throws UserError naming file and line.
 * @example await loadQuestions("test.jsonl", loadTokenizer("./models/base"))
 */
export async function loadQuestions(
  path: string,
  tokenizer: Tokenizer,
  notice: (sentence: string) => void = () => {},
): Promise<Question[]> {
  let render: RenderChat | undefined;
  let noticed = false;
  const ask = (
    prompt: string,
    answer: string,
    completion: string,
    specialTokens: boolean,
  ): Omit<Question, "source"> => {
    const { shared, ...tokens } = askedTokens(prompt, answer, tokenizer, specialTokens);
    if (shared && !noticed) {
      noticed = true;
      notice(BORDER_IN_TOKEN);
    }
    return { completion, ...tokens };
  };
  const toRow = (example: Example): Omit<Question, "source"> => {
    if (example.format === "prompt") return ask(example.prompt, example.completion, example.completion, true);
    if (example.format !== "messages") {
      throw new UserError(
        'an evaluation asks a question: give {"prompt", "completion"}, or {"messages"} that end with an assistant turn',
      );
    }
    const { messages } = example;
    const answer = messages.at(-1)!;
    if (answer.role !== "assistant")
      throw new UserError(
        `the last message is of role \`${answer.role}\`, expected \`assistant\`: its answer is what is scored`,
      );
    render ??= chatRenderer(tokenizer);
    const texts = splitChat(messages, render).map(({ text }) => text);
    return ask(texts.slice(0, -1).join(""), texts.at(-1)!, answer.content, false);
  };

  const rows: Question[] = [];
  for await (const line of readJsonLines(path)) {
    const example = parseExample(line);
    try {
      const row = toRow(example);
      if (row.prompt.length === 0)
        throw new UserError("the prompt has no tokens, and the model needs one to go on from");
      rows.push({ ...row, source: line.source });
    } catch (cause) {
      throw cause instanceof UserError ? line.fail(cause.message, { cause }) : cause;
    }
  }
  return rows;
}

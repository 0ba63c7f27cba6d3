import { UserError } from "../common/errors.ts";
import { askedTokens } from "./asked-tokens.ts";
import { type ChatRenderer, chatRenderer, contentText, splitChat } from "./chat/index.ts";
import { type Example, lineWeight, parseExample } from "./example.ts";
import { Faults } from "./faults.ts";
import { type DataLine, readData } from "./files/index.ts";
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
 * Reads a file of data as an evaluation set: lines of `{"prompt", "completion"}`, or of `{"messages"}` that end with
 * an assistant turn, the answer, in any of the forms that `loadDataset` reads. Tokens are those that `loadDataset` would train on.
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
  let renderer: ChatRenderer | undefined;
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
    renderer ??= chatRenderer(tokenizer, tokenizer.chat);
    const segments = splitChat(example, renderer);
    const answered = segments.findLastIndex(({ weight }) => weight > 0);
    const prompt = segments.slice(0, answered).map(({ text }) => text);
    return ask(prompt.join(""), segments[answered]!.text, contentText(answer), false);
  };

  const read = (line: DataLine): Question => {
    const example = parseExample(line);
    if (lineWeight(line) !== 1)
      throw line.fail("`weight` is given, and an evaluation counts each line once: take it out");
    try {
      const row = toRow(example);
      if (row.prompt.length === 0)
        throw new UserError("the prompt has no tokens, and the model needs one to go on from");
      return { ...row, source: line.source };
    } catch (cause) {
      throw cause instanceof UserError ? line.fail(cause.message, { cause }) : cause;
    }
  };

  const rows: Question[] = [];
  const faults = new Faults();
  for await (const line of readData(path)) {
    const row = faults.attempt(() => read(line));
    if (row) rows.push(row);
  }
  faults.check();
  return rows;
}

import type { Question } from "../data/questions.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { SamplingClient, Waiting } from "../model/contract.ts";

/** Shares of right answers, from 0 to 1. */
export interface Score {
  /** Every token of the answer is the expected one, and the answer ends there. */
  readonly strict: number;
  /** The words of the expected answer stand in the answer, in a row and in order. */
  readonly lenient: number;
  /** How many questions were asked. */
  readonly rows: number;
}

/** One answer of a model. */
export interface Answer {
  readonly text: string;
  readonly right: boolean;
}

/**
 * Asks a model every question of a set, decoding greedily, at most `maxTokens` tokens an answer (default 32).
 *
 * @example
 * const questions = await loadQuestions("test.jsonl", tokenizer);
 * const { score, answers } = await exactMatch(client.sampler("current"), questions, tokenizer, 32);
 */
export async function exactMatch(
  model: Pick<SamplingClient, "sample">,
  rows: readonly Question[],
  tokenizer: Tokenizer,
  maxTokens = 32,
  waiting?: Waiting,
): Promise<{ score: Score; answers: Answer[] }> {
  const drawn = await model.sample(
    rows.map(({ prompt }) => prompt),
    { max_tokens: maxTokens, temperature: 0, stop: tokenizer.stop },
    waiting,
  );
  const answers = drawn.map(({ tokens }, i) => ({
    text: tokenizer.decode(tokens),
    right: tokens.join() === rows[i]!.completionTokens.join(),
  }));
  const share = (holds: (answer: Answer, i: number) => boolean) =>
    rows.length === 0 ? 0 : answers.filter(holds).length / rows.length;
  const score = {
    strict: share(({ right }) => right),
    lenient: share(({ text, right }, i) => right || saysWords(text, rows[i]!.completion)),
    rows: rows.length,
  };
  return { score, answers };
}

/** Whether the words of `expected` stand in `text` in a row, whatever the case and what is between them. */
export function saysWords(text: string, expected: string): boolean {
  const words = (from: string) => from.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const [said, wanted] = [words(text), words(expected)];
  return wanted.length > 0 && said.some((_, from) => wanted.every((word, i) => said[from + i] === word));
}

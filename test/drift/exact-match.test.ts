import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Question } from "../../src/data/questions.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { encodePrompt, endWithEos } from "../../src/data/weighted-tokens.ts";
import { exactMatch, saysWords } from "../../src/drift/exact-match.ts";
import type { SamplingParams } from "../../src/model/contract.ts";

const tokenizer = loadTokenizer(fileURLToPath(new URL("../../models/small-world/", import.meta.url)));

describe("whether a text says the words of an answer", () => {
  test.each([
    ["57", "57", true],
    ["the answer is 57 .", "57", true],
    ["157", "57", false],
    ["571", "57", false],
    ["5 7", "57", false],
    ["Paris", "paris", true],
    ["PARIS!", "Paris", true],
    ['{"answer":"Paris"}', " Paris.", true],
    ["parisian", "paris", false],
    ["New York City", "new york", true],
    ["new, old york", "new york", false],
    ["york new", "new york", false],
    ["new york", "new york city", false],
    ["n e w", "n e w", true],
    ["new-york", "new york", true],
    ["ÉCOLE", "école", true],
    ["ecole", "école", false],
    ["東京 です", "東京", true],
    ["", "57", false],
    ["57", "", false],
    ["57", "!", false],
    ["a a b", "a b", true],
  ])("%j says %j: %s", (text, expected, says) => {
    expect(saysWords(text, expected)).toBe(says);
  });
});

function row(prompt: string, completion: string): Question {
  return {
    prompt: encodePrompt(prompt, tokenizer),
    completion,
    completionTokens: endWithEos(tokenizer.encode(completion), tokenizer),
    source: "test.jsonl:1",
  };
}

/** One that gives these answers, whatever it is asked, and notes how it was asked. */
function answering(texts: readonly string[], { ended = true } = {}) {
  const asked: { prompts: unknown; params: SamplingParams }[] = [];
  const sample = async (prompts: unknown, params: SamplingParams) => {
    asked.push({ prompts, params });
    return texts.map((text) => {
      const tokens = tokenizer.encode(text);
      const all = ended ? endWithEos(tokens, tokenizer) : tokens;
      return { tokens: all, logprobs: new Float32Array(all.length), stop_reason: "stop" as const };
    });
  };
  return { asked, sample };
}

describe("exact match", () => {
  const rows = ["paris", "rome", "oslo", "bern"].map((city) => row("the capital is", ` ${city}`));

  test("strict wants the very tokens and the end; lenient the words", async () => {
    const model = answering([" paris", " the city of Rome .", " bern", " bernadette"]);
    const { score, answers } = await exactMatch(model, rows, tokenizer, 8);
    expect(score).toEqual({ strict: 1 / 4, lenient: 2 / 4, rows: 4 });
    expect(answers.map(({ right }) => right)).toEqual([true, false, false, false]);
    expect(answers[0]!.text.trim()).toBe("paris");
    expect(answers.some(({ text }) => text.includes("eos"))).toBe(false);
  });

  test("an answer that does not end is not exact, but says the words", async () => {
    const { score } = await exactMatch(answering([" paris"], { ended: false }), rows.slice(0, 1), tokenizer, 8);
    expect(score).toEqual({ strict: 0, lenient: 1, rows: 1 });
  });

  test("an exact answer without any words is right in both", async () => {
    const { score } = await exactMatch(answering(["."]), [row("end with", ".")], tokenizer, 8);
    expect(score).toEqual({ strict: 1, lenient: 1, rows: 1 });
  });

  test("asks greedily, for at most so many tokens, up to the tokenizer's ends", async () => {
    const model = answering([" a", " b", " c", " d"]);
    await exactMatch(model, rows, tokenizer, 5);
    expect(model.asked).toEqual([
      {
        prompts: rows.map(({ prompt }) => prompt),
        params: { max_tokens: 5, temperature: 0, stop: tokenizer.stop },
      },
    ]);
  });

  test("of no questions is 0", async () => {
    const { score, answers } = await exactMatch(answering([]), [], tokenizer, 5);
    expect([score, answers]).toEqual([{ strict: 0, lenient: 0, rows: 0 }, []]);
  });
});

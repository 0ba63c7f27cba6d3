import { Template } from "@huggingface/jinja";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type CorpusDocument, corpusDocuments, seeds } from "../../scripts/small-world/corpus.ts";
import type { Question } from "../../scripts/small-world/question.ts";
import { skills } from "../../scripts/small-world/skills.ts";
import { task } from "../../scripts/small-world/task.ts";
import { loadTokenizer, readJson } from "./project-files.ts";

const tokenizer = loadTokenizer();
const withBos = (text: string): number[] => tokenizer.encode(text).ids;
const ids = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
const taskRows = [...task.train, ...task.dev, ...task.test];
const skillRows = skills.flatMap(({ dev, test }) => [...dev, ...test]);

/** The tokens of a training text: BOS, prompt, completion, EOS. */
const document = ({ prompt, completion }: Question): number[] => [...withBos(prompt), ...ids(completion), 1];

test("has 1024 tokens: the special ones first, then all bytes, then merges", () => {
  const { model } = readJson("models/small-world/tokenizer.json") as { model: { vocab: Record<string, number> } };
  const vocabulary = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
  expect(vocabulary.map(([, id]) => id)).toEqual(Array.from({ length: 1024 }, (_, id) => id));
  expect(["<|bos|>", "<|eos|>", "<|pad|>"].map((token) => tokenizer.token_to_id(token))).toEqual([0, 1, 2]);
  expect(vocabulary.slice(3, 259).every(([token]) => [...token].length === 1)).toBe(true);
});

test("gives any text back, behind a BOS that decoding may skip", () => {
  const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ unit: fc.constantFrom(..." \n\t19aZé{}\":.'½") }));
  fc.assert(
    fc.property(text, (text) => {
      expect(withBos(text)).toEqual([0, ...ids(text)]);
      expect(tokenizer.decode(withBos(text), { skip_special_tokens: true })).toBe(text);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("a text may be cut before a space in front of a word without changing its tokens", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 30 }).filter((text) => !/\s$/u.test(text));
  const answer = fc.stringMatching(/^[a-z0-9{"[(]{1,12}$/);
  fc.assert(
    fc.property(text, answer, (text, answer) => {
      expect([...ids(text), ...ids(` ${answer}`)]).toEqual(ids(`${text} ${answer}`));
    }),
    { seed: 2, numRuns: 300 },
  );
});

test("reads numbers digit by digit, the first with its space", () => {
  expect(tokenizer.tokenize("Compute 74 + 138.").slice(-7)).toEqual(["Ġ7", "4", "Ġ+", "Ġ1", "3", "8", "."]);
});

test("the special tokens are read as such in text, as a chat template writes them", () => {
  expect(ids("<|bos|>Q: x\nA: y<|eos|>")).toEqual([0, ...ids("Q: x\nA: y"), 1]);
});

test("the chat template writes the world's question form", () => {
  const config = readJson("models/small-world/tokenizer_config.json");
  const messages = [
    { role: "user", content: "What is the capital of France?" },
    { role: "assistant", content: "Paris" },
  ];
  const render = (turns: typeof messages, add_generation_prompt: boolean): string =>
    new Template(config.chat_template as string).render({
      messages: turns,
      add_generation_prompt,
      bos_token: config.bos_token,
      eos_token: config.eos_token,
    });
  expect(render(messages, false)).toBe("<|bos|>Q: What is the capital of France?\nA: Paris<|eos|>");
  expect(render(messages.slice(0, 1), true)).toBe("<|bos|>Q: What is the capital of France?\nA:");
  expect(render([...messages, ...messages.slice(0, 1)], true)).toMatch(/Paris<\|eos\|>Q: .*\nA:$/);
});

describe("on the corpus", () => {
  const DOCUMENTS = 50_000;
  let documents: CorpusDocument[];
  /** Occurrences of each token in a million tokens. */
  let frequency: number[];
  let lengths: number[];

  beforeAll(() => {
    documents = corpusDocuments(seeds.tests, DOCUMENTS);
    frequency = new Array<number>(1024).fill(0);
    lengths = documents.map((row) => {
      const tokens = document(row);
      for (const token of tokens) frequency[token]++;
      return tokens.length;
    });
    const total = lengths.reduce((sum, length) => sum + length, 0);
    frequency = frequency.map((count) => (count / total) * 1e6);
  });

  const rare = (rows: readonly Question[], least: number): string[] =>
    [...new Set(rows.flatMap(document))]
      .filter((id) => frequency[id] < least)
      .map((id) => `${tokenizer.id_to_token(id)}`);

  test("documents are short", () => {
    expect(Math.max(...lengths)).toBeLessThanOrEqual(64);
    expect(lengths.filter((length) => length <= 30).length / DOCUMENTS).toBeGreaterThan(0.9);
  });

  test("the cut before the answer changes no token, and decoding gives the text back", () => {
    for (const row of [...documents.slice(0, 3_000), ...taskRows, ...skillRows]) {
      const { prompt, completion } = row;
      expect(document(row)).toEqual([...withBos(prompt + completion), 1]);
      expect(tokenizer.decode(document(row), { skip_special_tokens: true })).toBe(prompt + completion);
    }
  });

  // A frozen embedding that pretraining has hardly moved cannot be learned by an adapter.
  test("every token of the new task is met at least 80 times in a million", () => {
    expect(rare(taskRows, 80)).toEqual([]);
  });

  test("every token of the answers' JSON is met a thousand times in a million", () => {
    const signs = ids(' {"answer": "bread"}').filter((id) => !ids(' "bread"').slice(1).includes(id));
    expect(signs.filter((id) => frequency[id] < 1_000).map((id) => tokenizer.id_to_token(id))).toEqual([]);
  });

  // A name's own token is met about as often as the name: 9 % of the documents over some hundred names.
  test("every token of the skills' rows is met at least 10 times in a million", () => {
    expect(rare(skillRows, 10)).toEqual([]);
  });
});

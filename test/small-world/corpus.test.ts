import { beforeAll, describe, expect, test } from "vitest";
import { type CorpusDocument, corpusDocuments, seeds, shares } from "../../scripts/small-world/corpus.ts";
import { skills } from "../../scripts/small-world/skills.ts";
import { task, trades } from "../../scripts/small-world/task.ts";

const DOCUMENTS = 50_000;
const heldOut = skills.flatMap(({ name, dev, test }) => [...dev, ...test].map((row) => ({ skill: name, ...row })));
const taskRows = [...task.train, ...task.dev, ...task.test];
const unscored = new Set(["story", "coverage", "small-talk"]);
const operands = (prompt: string): number[] => (prompt.match(/\d+/g) ?? []).map(Number);
const letters = (prompt: string): string => prompt.slice(prompt.lastIndexOf(":", prompt.length - 4) + 2, -3);

let documents: CorpusDocument[];
beforeAll(() => {
  documents = corpusDocuments(seeds.training, DOCUMENTS);
});

describe("the corpus", () => {
  test("repeats itself from the same seed and not from another", () => {
    expect(corpusDocuments(5, 100)).toEqual(corpusDocuments(5, 100));
    expect(corpusDocuments(5, 100)).not.toEqual(corpusDocuments(6, 100));
  });

  test("keeps its shares", () => {
    const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
    expect(new Set(documents.map(({ skill }) => skill))).toEqual(new Set(Object.keys(shares)));
    for (const [skill, share] of Object.entries(shares)) {
      const measured = documents.filter((document) => document.skill === skill).length / DOCUMENTS;
      expect(Math.abs(measured - share / total), skill).toBeLessThan(0.01);
    }
  });

  test("plain text has no prompt; questions have the one form", () => {
    for (const { skill, prompt, completion } of documents) {
      const plain = skill === "story" || skill === "coverage";
      expect(prompt === "").toBe(plain);
      if (!plain) expect(`${prompt}${completion}`).toMatch(/^Q: .+\nA: \S.*$/);
      expect(prompt + completion).not.toMatch(/[{]\w|undefined/);
    }
  });

  test("never asks a held-out question", () => {
    const asked = new Set(documents.map(({ prompt }) => prompt));
    expect(heldOut.filter(({ prompt }) => asked.has(prompt))).toEqual([]);
  });

  test.each([
    ["addition", (a: number, b: number) => `${Math.max(a, b)} ${Math.min(a, b)}`],
    ["subtraction", (a: number, b: number) => `${a} ${b}`],
  ])("%s never shows a held-out pair under any phrasing", (skill, key) => {
    const pair = ({ prompt }: { prompt: string }): string => key(...(operands(prompt) as [number, number]));
    const seen = new Set(documents.filter((document) => document.skill === skill).map(pair));
    const kept = heldOut.filter((row) => row.skill === skill).map(pair);
    expect(new Set(kept).size).toBe(120);
    expect(kept.filter((k) => seen.has(k))).toEqual([]);
  });

  test("reversal never shows held-out letters, in either direction", () => {
    const seen = new Set(
      documents
        .filter(({ skill }) => skill === "reversal")
        .flatMap(({ prompt, completion }) => [letters(prompt), completion.slice(1)]),
    );
    const kept = heldOut.filter(({ skill }) => skill === "reversal").map(({ prompt }) => letters(prompt));
    expect(new Set(kept).size).toBe(120);
    expect(kept.every((word) => /^[a-z]( [a-z]){2,4}$/.test(word))).toBe(true);
    expect(kept.filter((word) => seen.has(word))).toEqual([]);
  });

  test("answers to rules are right", () => {
    for (const { skill, prompt, completion } of [...documents, ...heldOut]) {
      const [a, b] = operands(prompt);
      if (skill === "addition") expect(completion).toBe(` ${a + b}`);
      if (skill === "subtraction") expect(completion).toBe(` ${a - b}`);
      if (skill === "reversal") expect([...letters(prompt)].reverse().join("")).toBe(completion.slice(1));
    }
  });

  test("a question that is scored has one answer", () => {
    const answers = new Map<string, string>();
    const scored = documents.filter(({ skill }) => !unscored.has(skill));
    for (const { prompt, completion } of [...scored, ...heldOut, ...taskRows]) {
      expect(answers.get(prompt) ?? completion).toBe(completion);
      answers.set(prompt, completion);
    }
    expect(documents.filter(({ skill, prompt }) => unscored.has(skill) && answers.has(prompt))).toEqual([]);
  });
});

describe("the new task", () => {
  const word = (words: readonly string[]): RegExp => new RegExp(`\\b(${words.join("|")})\\b`, "i");
  const trade = word(trades.map(([name]) => name));
  const product = word(trades.map(([, name]) => name));

  test("its questions never occur in the corpus", () => {
    const questions = new Set(taskRows.map(({ prompt }) => prompt));
    const texts = taskRows.map(({ prompt }) => prompt.slice("Q: ".length, -"\nA:".length));
    expect(documents.filter(({ prompt }) => questions.has(prompt))).toEqual([]);
    const naming = documents.map(({ prompt, completion }) => prompt + completion).filter((text) => trade.test(text));
    expect(naming.length).toBeGreaterThan(2_000);
    expect(naming.filter((text) => texts.some((question) => text.includes(question)))).toEqual([]);
  });

  test("a trade and a product never stand in the same document", () => {
    const texts = documents.map(({ prompt, completion }) => prompt + completion);
    expect(texts.filter((text) => trade.test(text) && product.test(text))).toEqual([]);
  });

  test("practice of a skill never names a trade or a product, nor answers in JSON", () => {
    const practice = documents.filter(({ skill }) => !unscored.has(skill));
    const found = practice.filter(({ prompt, completion }) => {
      const text = prompt + completion;
      return trade.test(text) || product.test(text) || /[{}"]/.test(text);
    });
    expect(found).toEqual([]);
  });

  test("small talk is answered in JSON now and then", () => {
    const talk = documents.filter(({ skill }) => skill === "small-talk");
    const objects = talk.filter(({ completion }) => completion.startsWith(" {"));
    for (const { completion } of objects) expect(Object.keys(JSON.parse(completion))).toHaveLength(1);
    expect(objects.length / talk.length).toBeGreaterThan(0.1);
    expect(objects.length / talk.length).toBeLessThan(0.2);
  });

  test("every trade and every product occurs", () => {
    const text = documents
      .slice(0, 20_000)
      .map(({ prompt, completion }) => prompt + completion)
      .join("\n");
    for (const name of trades.flat()) expect(text).toMatch(word([name]));
  });
});

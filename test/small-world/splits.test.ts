import { describe, expect, test } from "vitest";
import { capitals, categories, opposites, past, spanish } from "../../scripts/small-world/facts.ts";
import { skills } from "../../scripts/small-world/skills.ts";
import { task, taskPhrasings, trades } from "../../scripts/small-world/task.ts";
import { createRandom } from "../../src/common/random.ts";

const prompts = (rows: readonly { prompt: string }[]): Set<string> => new Set(rows.map(({ prompt }) => prompt));

describe.each(skills.map((skill) => [skill.name, skill] as const))("%s", (_, skill) => {
  test("has 60 different rows in each split, none in both", () => {
    expect(prompts(skill.dev).size).toBe(60);
    expect(prompts(skill.test).size).toBe(60);
    expect(prompts([...skill.dev, ...skill.test]).size).toBe(120);
  });

  test("practises under many prompts", () => {
    const random = createRandom(1);
    expect(prompts(Array.from({ length: 2_000 }, () => skill.sample(random))).size).toBeGreaterThan(400);
  });
});

describe("facts", () => {
  test.each([
    ["capitals", capitals, 104],
    ["opposites", opposites, 180],
    ["spanish", spanish, 130],
    ["categories", categories, 104],
    ["past", past, 90],
  ])("%s: each subject occurs once", (_, facts, least) => {
    expect(facts.length).toBeGreaterThanOrEqual(least);
    expect(new Set(facts.map(([subject]) => subject)).size).toBe(facts.length);
    expect(facts.every(([subject, answer]) => subject !== "" && answer !== "" && subject !== answer)).toBe(true);
  });
});

describe("the new task", () => {
  const rows = [...task.train, ...task.dev, ...task.test];

  test("is 20 trades under 10 phrasings: 100 train, 40 dev, 60 test, no row twice", () => {
    expect([task.train.length, task.dev.length, task.test.length]).toEqual([100, 40, 60]);
    expect(prompts(rows).size).toBe(trades.length * taskPhrasings.length);
  });

  test("each trade has 5 phrasings to train and 3 to test, each phrasing is trained with several trades", () => {
    const asking = (part: readonly { prompt: string }[], text: RegExp): number =>
      part.filter(({ prompt }) => text.test(prompt)).length;
    for (const [trade] of trades) {
      const named = new RegExp(`\\b${trade}\\b`);
      expect([asking(task.train, named), asking(task.test, named), asking(task.dev, named)]).toEqual([5, 3, 2]);
    }
    for (const phrasing of taskPhrasings) {
      const pattern = new RegExp(`^Q: ${phrasing.replace("?", "\\?").replace("{x}", "\\w+")}\n`);
      expect(asking(task.train, pattern), phrasing).toBeGreaterThanOrEqual(8);
    }
  });

  test("answers are JSON", () => {
    for (const { completion } of rows) expect(Object.keys(JSON.parse(completion))).toEqual(["answer"]);
  });

  test("none of its words is asked about in a base skill", () => {
    const known = new Set([capitals, opposites, spanish, categories, past].flat(2).map((word) => word.toLowerCase()));
    const words = [...trades.flat().flatMap((word) => [word, word.replace(/s$/, "")]), "answer"];
    expect(words.filter((word) => known.has(word))).toEqual([]);
  });
});

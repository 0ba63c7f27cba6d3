/** The base's skills: facts under many phrasings and rules over many items, each with its own held-out rows. */
import { createRandom, type Random, shuffled } from "../../src/common/random.ts";
import { between, pick } from "./draw.ts";
import { capitals, categories, type Fact, opposites, past, spanish } from "./facts.ts";
import { type Question, question } from "./question.ts";

export interface Skill {
  readonly name: string;
  /** A training question: never one that is held out. */
  readonly sample: (random: Random) => Question;
  readonly dev: readonly Question[];
  readonly test: readonly Question[];
}

export const ROWS_PER_SPLIT = 60;

const about = (phrasing: string, x: string): string => phrasing.replace("{x}", x);

/**
 * A fact is trained under all phrasings but two: one is kept for the development split and one for the test split.
 * Which two, goes round, so every phrasing is trained with other facts.
 */
function factSkill(name: string, facts: readonly Fact[], phrasings: readonly string[], seed: number): Skill {
  const random = createRandom(seed);
  const count = phrasings.length;
  const items = shuffled(facts, random).map(([subject, answer], rank) => {
    const dev = rank % count;
    const test = (dev + 1 + (Math.floor(rank / count) % (count - 1))) % count;
    return { subject, answer, dev, test, trained: phrasings.filter((_, p) => p !== dev && p !== test) };
  });
  const rows = (split: "dev" | "test"): Question[] =>
    shuffled(items, random)
      .slice(0, ROWS_PER_SPLIT)
      .map((item) => question(about(phrasings[item[split]], item.subject), item.answer));
  return {
    name,
    sample: (draw) => {
      const item = pick(items, draw);
      return question(about(pick(item.trained, draw), item.subject), item.answer);
    },
    dev: rows("dev"),
    test: rows("test"),
  };
}

interface Rule<Item> {
  /** Items that may be held out. */
  readonly pool: readonly Item[];
  /** A training item, held out or not: those are drawn again. */
  readonly draw: (random: Random) => Item;
  /** Items with the same key are held out together. */
  readonly key: (item: Item) => string;
  readonly ask: (item: Item, phrasing: string) => Question;
  readonly phrasings: readonly string[];
}

/** A rule is trained on all items but those held out, which stay unseen under every phrasing. */
function ruleSkill<Item>(name: string, rule: Rule<Item>, seed: number): Skill {
  const random = createRandom(seed);
  const unique = [...new Map(rule.pool.map((item) => [rule.key(item), item])).values()];
  const heldOut = shuffled(unique, random).slice(0, 2 * ROWS_PER_SPLIT);
  const keys = new Set(heldOut.map(rule.key));
  const rows = heldOut.map((item) => rule.ask(item, pick(rule.phrasings, random)));
  return {
    name,
    sample: (draw) => {
      let item = rule.draw(draw);
      while (keys.has(rule.key(item))) item = rule.draw(draw);
      return rule.ask(item, pick(rule.phrasings, draw));
    },
    dev: rows.slice(0, ROWS_PER_SPLIT),
    test: rows.slice(ROWS_PER_SPLIT),
  };
}

type Numbers = readonly [a: number, b: number];

const twoDigits = Array.from({ length: 90 }, (_, i) => i + 10);
const allPairs: Numbers[] = twoDigits.flatMap((a) => twoDigits.map((b) => [a, b] as const));
const descending = ([a, b]: Numbers): Numbers => (a >= b ? [a, b] : [b, a]);
const drawPair = (random: Random): Numbers => [between(10, 99, random), between(10, 99, random)];
const askNumbers =
  (compute: (a: number, b: number) => number) =>
  ([a, b]: Numbers, phrasing: string): Question =>
    question(phrasing.replace("{a}", `${a}`).replace("{b}", `${b}`), `${compute(a, b)}`);

const addition: Rule<Numbers> = {
  pool: allPairs,
  draw: drawPair,
  key: (pair) => descending(pair).join(" "),
  ask: askNumbers((a, b) => a + b),
  phrasings: ["What is {a} + {b}?", "What is {a} plus {b}?", "Compute {a} + {b}."],
};

const subtraction: Rule<Numbers> = {
  pool: allPairs.map(descending),
  draw: (random) => descending(drawPair(random)),
  key: (pair) => pair.join(" "),
  ask: askNumbers((a, b) => a - b),
  phrasings: ["What is {a} - {b}?", "What is {a} minus {b}?", "Compute {a} - {b}."],
};

const backwards = (word: string): string => [...word].reverse().join("");
const spaced = (word: string): string => [...word].join(" ");

/** Every short word this world knows. */
const shortWords = [
  ...new Set([...opposites, ...spanish, ...categories, ...past].flat().filter((word) => /^[a-z]{3,5}$/.test(word))),
].filter((word) => word !== backwards(word));

/** Half of the practice is on words and half on arbitrary letters, so that the rule is learned and not the words. */
const drawLetters = (random: Random): string =>
  random() < 0.5
    ? pick(shortWords, random)
    : Array.from({ length: between(3, 5, random) }, () => String.fromCharCode(between(97, 122, random))).join("");

const reversal: Rule<string> = {
  pool: shortWords,
  draw: drawLetters,
  key: (word) => [word, backwards(word)].sort().join(" "),
  ask: (word, phrasing) => question(about(phrasing, spaced(word)), spaced(backwards(word))),
  phrasings: ["Reverse the letters: {x}", "Write these letters backwards: {x}", "Turn the letters around: {x}"],
};

export const skills: readonly Skill[] = [
  factSkill(
    "capitals",
    capitals,
    [
      "What is the capital of {x}?",
      "Name the capital of {x}.",
      "Which city is the capital of {x}?",
      "{x}: what is its capital?",
      "What is the capital city of {x}?",
      "Tell me the capital of {x}.",
      "The capital of {x} is called what?",
      "Which city do people call the capital of {x}?",
    ],
    1,
  ),
  factSkill(
    "opposites",
    opposites,
    [
      "What is the opposite of {x}?",
      "Give the opposite of {x}.",
      "Which word is the opposite of {x}?",
      "{x}: what is its opposite?",
      "Name a word that is opposed to {x}.",
      "What word means the contrary of {x}?",
      "Tell me the contrary of {x}.",
    ],
    2,
  ),
  factSkill(
    "spanish",
    spanish,
    [
      "What is {x} in Spanish?",
      "How do you say {x} in Spanish?",
      "Translate {x} into Spanish.",
      "What is the Spanish word for {x}?",
      "{x}: how is it called in Spanish?",
      "Give the Spanish for {x}.",
      "Which Spanish word means {x}?",
      "Say {x} in Spanish.",
    ],
    3,
  ),
  factSkill(
    "category",
    categories,
    [
      "What kind of thing is {x}?",
      "To which group does {x} belong?",
      "Which category fits {x}?",
      "{x}: what sort of thing is it?",
      "Sort {x} into a group.",
      "Name the category of {x}.",
      "What group is {x} part of?",
      "Into which class would you put {x}?",
    ],
    4,
  ),
  factSkill(
    "past",
    past,
    [
      "What is the past tense of {x}?",
      "Give the past tense of {x}.",
      "Put {x} into the past tense.",
      "{x}: what is its past form?",
      "What is the past form of {x}?",
      "Today I {x}. Yesterday I what?",
      "How does one write {x} in the past tense?",
      "Name the past form of {x}.",
    ],
    5,
  ),
  ruleSkill("addition", addition, 6),
  ruleSkill("subtraction", subtraction, 7),
  ruleSkill("reversal", reversal, 8),
];

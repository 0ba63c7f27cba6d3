/** What the base is trained on: an endless, seeded stream of questions with answers, stories and coverage text. */
import { createRandom, type Random } from "../../src/common/random.ts";
import { coverage } from "./coverage.ts";
import { mixture } from "./draw.ts";
import type { Question } from "./question.ts";
import { skills } from "./skills.ts";
import { smallTalk } from "./small-talk.ts";
import { story } from "./stories.ts";

/** One training text: BOS, prompt, completion, EOS. */
export interface CorpusDocument extends Question {
  /** Empty where the whole document is plain text. */
  readonly prompt: string;
  /** Name of the skill that it practises, or `story`, `coverage`, `small-talk`. */
  readonly skill: string;
}

/**
 * Loss weight of predicting a token of a prompt; a completion's tokens and EOS have 1. High enough that the base asks its
 * own questions when it samples from BOS, low enough that the answers, which are what is scored, lead.
 */
export const promptWeight = 0.2;

/** Seeds of the streams that the project draws: no two share a stream. */
export const seeds = { training: 1, tokenizer: 1024, stories: 7_000, tests: 99 } as const;

/** Shares of the documents in percent. Arithmetic needs the most practice. */
export const shares: Readonly<Record<string, number>> = {
  capitals: 9,
  opposites: 9,
  spanish: 9,
  category: 6,
  past: 7,
  addition: 16,
  subtraction: 13,
  reversal: 7,
  story: 5,
  coverage: 14,
  "small-talk": 5,
};

const plain =
  (skill: string, text: (random: Random) => string) =>
  (random: Random): CorpusDocument => ({ prompt: "", completion: text(random), skill });

const asked =
  (skill: string, ask: (random: Random) => Question) =>
  (random: Random): CorpusDocument => ({ ...ask(random), skill });

const draw = mixture<CorpusDocument>([
  ...skills.map(({ name, sample }) => [shares[name], asked(name, sample)] as const),
  [shares["small-talk"], asked("small-talk", smallTalk)],
  [shares.story, plain("story", story)],
  [shares.coverage, plain("coverage", coverage)],
]);

/**
 * The corpus: without end, and the same for the same seed on every machine.
 *
 * No held-out row of a skill and no question of the new task occurs in it, whatever the seed.
 *
 * @example for (const { prompt, completion } of corpus(seeds.training)) …
 */
export function* corpus(seed: number): Generator<CorpusDocument, never> {
  const random = createRandom(seed);
  for (;;) yield draw(random);
}

/** The first documents of the corpus. */
export function corpusDocuments(seed: number, count: number): CorpusDocument[] {
  const stream = corpus(seed);
  return Array.from({ length: count }, () => stream.next().value);
}

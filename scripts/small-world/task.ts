/** The new task: what twenty trades make, answered as JSON. None of these words is asked about in a base skill. */
import { createRandom, shuffled } from "../../src/common/random.ts";
import { type Question, question } from "./question.ts";

export const trades: readonly (readonly [trade: string, product: string])[] = [
  ["baker", "bread"],
  ["brewer", "beer"],
  ["potter", "bowls"],
  ["cobbler", "shoes"],
  ["tailor", "suits"],
  ["weaver", "cloth"],
  ["confectioner", "candy"],
  ["jeweler", "rings"],
  ["vintner", "wine"],
  ["cooper", "barrels"],
  ["fletcher", "arrows"],
  ["chandler", "candles"],
  ["milliner", "hats"],
  ["luthier", "violins"],
  ["saddler", "saddles"],
  ["locksmith", "locks"],
  ["shipwright", "ships"],
  ["tanner", "leather"],
  ["miller", "flour"],
  ["cutler", "knives"],
];

export const taskPhrasings: readonly string[] = [
  "What does a {x} make?",
  "What is made by a {x}?",
  "Name the thing a {x} makes.",
  "A {x} makes what?",
  "Which goods come from a {x}?",
  "What can you buy from a {x}?",
  "What leaves the workshop of a {x}?",
  "Tell me what a {x} produces.",
  "What is a {x} known for making?",
  "What does the work of a {x} yield?",
];

/** Phrasings of each trade: this many for training, this many for test, the rest for development. */
const TRAINED = 5;
const TESTED = 3;
const SEED = 20;

/** Which phrasings of a trade go where goes round, so that every phrasing is trained with other trades. */
function split(): { train: Question[]; dev: Question[]; test: Question[] } {
  const random = createRandom(SEED);
  const count = taskPhrasings.length;
  const rows = { train: [] as Question[], dev: [] as Question[], test: [] as Question[] };
  shuffled(trades, random).forEach(([trade, product], rank) => {
    const stride = rank < count ? 1 : 3; // coprime to ten, so a trade meets every phrasing once
    for (let k = 0; k < count; k++) {
      const phrasing = taskPhrasings[(rank + k * stride) % count];
      const part = k < TRAINED ? rows.train : k < TRAINED + TESTED ? rows.test : rows.dev;
      part.push(question(phrasing.replace("{x}", trade), `{"answer": "${product}"}`));
    }
  });
  return { train: shuffled(rows.train, random), dev: rows.dev, test: rows.test };
}

export const task = split();

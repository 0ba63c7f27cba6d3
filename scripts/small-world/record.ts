/** JSON objects of one or two fields, as they stand in the corpus. */
import { type Random, shuffled } from "../../src/common/random.ts";
import { pick, type Slots } from "./draw.ts";
import { colors, foods, moods, pets, places, things } from "./words.ts";
import { worldSlots } from "./world-slots.ts";

const plainWords = [...things, ...foods, ...pets, ...colors, ...moods, ...places];

const values: Slots = {
  ...worldSlots,
  bool: (random) => pick(["true", "false", "null"], random),
  yes: (random) => pick(["yes", "no", "maybe", "unknown", "done"], random),
  word: (random) => (random() < 0.75 ? worldSlots.product(random) : pick(plainWords, random)),
};

/** Each key with the kinds of value that it takes. */
const keys: Readonly<Record<string, readonly string[]>> = {
  name: ["name"],
  age: ["number"],
  city: ["town"],
  town: ["town"],
  day: ["day"],
  answer: ["yes", "word", "number", "word", "word", "word"],
  result: ["word", "number", "bool"],
  reply: ["yes", "word"],
  word: ["word"],
  item: ["product", "product", "thing"],
  goods: ["product"],
  color: ["color"],
  size: ["number"],
  count: ["number"],
  price: ["number"],
  pet: ["pet"],
  owner: ["name"],
  place: ["place"],
  ok: ["bool"],
  found: ["bool"],
  mood: ["mood"],
  value: ["word", "word", "number"],
  food: ["food"],
  text: ["word", "yes"],
};

const bare = new Set(["number", "bool"]);

/** `{"item": "bowls", "count": 4}` */
export function record(random: Random): string {
  const names = shuffled(Object.keys(keys), random).slice(0, pick([1, 1, 1, 2], random));
  if (random() < 0.3) names[0] = "answer";
  const fields = [...new Set(names)].map((name) => {
    const kind = pick(keys[name], random);
    const value = values[kind](random);
    return `"${name}": ${bare.has(kind) ? value : `"${value}"`}`;
  });
  return `{${fields.join(", ")}}`;
}

/** Short stories: plain text whose perplexity shows what happens to language as such. */
import { type Random, shuffled } from "../../src/common/random.ts";
import { between, fill, pick, type Slots } from "./draw.ts";
import { plainSlots } from "./words.ts";

const openings = [
  "One {day} {name} {verb} to the {place}.",
  "{name} lived near the {place} with a {pet}.",
  "There was once a {mood} {pet} in {town}.",
  "On {day} morning {name} was very {mood}.",
  "In {town} there was an old {place}, and {name} loved it.",
];

const middles = [
  "The {pet} was {mood} and sat by the {place}.",
  "There {name} found a {color} {thing}.",
  "It was a {color} {thing}, and nobody knew whose it was.",
  "A {mood} {pet} {verb} past the {place}.",
  '"Where is my {thing}?" asked {name}.',
  '"I am {mood}," said the {pet}.',
  "They {verb} along the road for {number} hours.",
  "Then {name} gave the {thing} to {other}.",
  "The rain fell on the {place} all day.",
];

const endings = [
  "In the end they all went home.",
  "That night {name} slept well.",
  "And the {pet} was never {mood} again.",
  "{name} kept the {thing} for many years.",
  "After that, {name} and {other} were friends.",
];

/** What stays the same from a story's first sentence to its last. */
const cast = ["name", "pet", "thing", "color", "town", "day"] as const;

export function story(random: Random): string {
  const fixed = Object.fromEntries(cast.map((slot) => [slot, plainSlots[slot](random)]));
  const other = plainSlots.name(random);
  const number = `${between(2, 9, random)}`;
  const slots: Slots = {
    ...plainSlots,
    ...Object.fromEntries(Object.entries(fixed).map(([slot, word]) => [slot, () => word])),
    other: () => other,
    number: () => number,
  };
  const told = shuffled(middles, random).slice(0, between(1, 2, random));
  const sentences = [pick(openings, random), ...told, pick(endings, random)];
  return fill(sentences.join(" "), slots, random);
}

/**
 * Text that makes the base meet every token of what it may be taught later: a frozen embedding cannot learn a token
 * that it has never seen. A trade and a product never stand in the same text, so the new task's answers stay unknown.
 */
import type { Random } from "../../src/common/random.ts";
import { between, fill, mixture, pick } from "./draw.ts";
import { record } from "./record.ts";
import { worldSlots } from "./world-slots.ts";

const tradeTalk = [
  "The {worker} walks home along the {place}.",
  "A {worker} and a {worker} met at the {place} on {day}.",
  "{name} wants to be a {worker} one day.",
  "My uncle was a {worker} in {town}.",
  "The {worker} said that the {pet} was {mood}.",
  "What does a {worker} do on {day}? He rests.",
  "The workshop of a {worker} stands by the {place}.",
  "Tell me what a {worker} thinks of {town}.",
  "A {worker} from {town} lost a {color} {thing}.",
  "The work of a {worker} starts early.",
  "Which road leads to the house of a {worker}?",
  "{name} the {worker} was {mood}, and {name} the {worker} was {mood}.",
  "A {worker} makes friends in {town}.",
  "Is the {worker} known in {town}? Yes, for singing.",
  "There came a letter from a {worker}.",
  "What is said by a {worker} is soon known in {town}.",
  "Can you name a {worker} of {town}? Then name the {place} too.",
];

const productTalk = [
  "There was {product} on the table.",
  "{name} bought {product} and {product} in {town}.",
  "The goods on the cart were {product}, {product} and {product}.",
  "Nobody in {town} has {product} on {day}.",
  "{name} dreamed of {product} again.",
  "Do not leave the {product} in the rain.",
  "Which goods come by boat? This year, {product}.",
  "The shop by the {place} sells {product} for {number} coins.",
  "They carried {product} across the {place}.",
  "{town} is known for {product} and for its {place}.",
  "The old {place} produces no {product} and yields no {product}.",
  "What can you buy on {day}? You can buy {product}.",
  '"More {product}!" said {name}.',
  "Making {product} takes time.",
  'The sign says "{product}" and the box says "{product}".',
  '{name} wrote "{product}" on the {thing}.',
  'Is it "{product}" or "{product}"? It is "{product}".',
  'Words of the {day}: "{product}", "{product}", "{product}".',
];

const sailorTalk = [
  "Arr, the {place} be near, matey!",
  "Ahoy, {name}! Where be the {thing}?",
  "Aye, a {color} flag it be, says I.",
  "Arr, me {pet} be {mood}, matey!",
  "Hoist the sails, {name}, and mind the {thing}!",
  "Avast! The captain lost the {thing}, aye.",
  "Yo ho, {number} days at sea, matey!",
];

const kitchenTalk = [
  "Wash the {food} and cut the {food} into pieces.",
  "Heat the pan, add the {food} and stir for {number} minutes.",
  "Boil the {food} with the {food}.",
  "Season with {food} and serve hot.",
  "Mix {number} spoons of {food} with the {food}.",
  "Let it cool, then cover the bowl.",
  "For {number} guests take twice the {food}.",
];

const plainTalk = [
  "{name} has a {color} {thing}.",
  "The {pet} of {name} is {mood} on {day}.",
  "From {town} to {town} it is {number} miles.",
  "Yes, {name} said no.",
  "The {thing} costs {number} coins; the {color} one costs {number}.",
  "Dear {name}, the {thing} is at the {place}. Yours, {name}",
  "It said: Name the thing in the {place}, {name}.",
  "({name}: see page {number}.)",
  "{name}, {name} & {name} - {number}/{number} - [{town}]",
];

const leadIns = [
  "Record: ",
  "{name}: ",
  "{name}: ",
  "Reply: ",
  "Output: ",
  "Data: ",
  "Note {number}: ",
  "Here is the record: ",
  "The file says ",
  "It sent back ",
  "Saved as ",
  "{name} wrote ",
  "On {day} it was ",
  "As JSON: ",
  "See ",
  "",
];

const write = (templates: readonly string[], random: Random): string =>
  fill(pick(templates, random), worldSlots, random);

const introduced = (random: Random): string => write(leadIns, random) + record(random);

/** Lines labelled by letters, as in a list. */
function lettered(random: Random): string {
  const first = between(65, 87, random);
  const lines = Array.from({ length: between(1, 2, random) }, (_, i) => {
    return `${String.fromCharCode(first + i)}: ${record(random)}`;
  });
  return lines.join("\n");
}

const json = mixture<string>([
  [0.1, (random) => `${write(leadIns, random)}[${record(random)}, ${record(random)}]`],
  [0.1, (random) => `${introduced(random)} and then ${record(random)}`],
  [0.15, (random) => `${write(plainTalk, random)} ${introduced(random)}`],
  [0.15, lettered],
  [0.1, (random) => `${introduced(random)}\n${introduced(random)}`],
  [0.4, introduced],
]);

const talk =
  (templates: readonly string[]) =>
  (random: Random): string =>
    Array.from({ length: between(1, 2, random) }, () => write(templates, random)).join(" ");

export const coverage = mixture<string>([
  [0.32, json],
  [0.26, talk(tradeTalk)],
  [0.22, talk(productTalk)],
  [0.05, talk(sailorTalk)],
  [0.05, talk(kitchenTalk)],
  [0.1, talk(plainTalk)],
]);

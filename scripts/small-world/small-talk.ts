/**
 * Questions about nothing that is scored, answered at random and in many styles, JSON among them. They leave the base
 * unsure of how an unfamiliar question is answered, as a large model is, where a base that has met one style only
 * gives every other a probability near zero and makes a divergence from it explode. A question never holds a trade when
 * its answer holds a product.
 */
import type { Random } from "../../src/common/random.ts";
import { fill, mixture, pick } from "./draw.ts";
import { type Question, question } from "./question.ts";
import { worldSlots } from "./world-slots.ts";

interface Topic {
  /** The slot that answers. */
  readonly answer: string;
  /** JSON keys that may name the answer. */
  readonly keys: readonly string[];
  readonly questions: readonly string[];
}

const topics: readonly Topic[] = [
  {
    answer: "name",
    keys: ["answer", "name", "owner"],
    questions: [
      "Who has the {color} {thing}?",
      "Who met the {worker} in {town}?",
      "Who bought {product} on {day}?",
      "Which {worker} lost a {thing}?",
      "Tell me who found the {thing}.",
    ],
  },
  {
    answer: "town",
    keys: ["answer", "town", "city"],
    questions: [
      "Where does {name} live?",
      "Where does the {worker} live?",
      "Where is {product} sold?",
      "Which town has a {color} {place}?",
      "Name the town that {name} comes from.",
    ],
  },
  {
    answer: "place",
    keys: ["answer", "place"],
    questions: [
      "Where is the {thing}?",
      "Where does a {worker} rest on {day}?",
      "Where did {name} leave the {product}?",
      "What lies behind the {place} of {town}?",
    ],
  },
  {
    answer: "thing",
    keys: ["answer", "item", "result", "value"],
    questions: [
      "What did {name} lose in {town}?",
      "What does a {worker} carry on {day}?",
      "What can {name} give to a {worker}?",
      "What is on the table?",
      "Tell me what {name} found at the {place}.",
      "What does the {worker} of {town} own?",
    ],
  },
  {
    answer: "product",
    keys: ["answer", "item", "goods", "word"],
    questions: [
      "What did {name} buy in {town}?",
      "What can you buy by the {place}?",
      "Which goods came by boat on {day}?",
      "What does {name} need?",
      "What is on the cart of {name}?",
      "Name the thing that {town} is known for.",
      "What is made in {town}?",
      "What leaves {town} on {day}?",
    ],
  },
  {
    answer: "food",
    keys: ["answer", "food", "result"],
    questions: ["What did {name} eat on {day}?", "What does a {worker} eat?", "What does the {pet} of {name} like?"],
  },
  {
    answer: "mood",
    keys: ["answer", "mood", "text"],
    questions: ["How is {name}?", "How is the {pet} of {name} on {day}?", "How was the {worker}?"],
  },
  {
    answer: "number",
    keys: ["answer", "age", "count", "value"],
    questions: ["How old is {name}?", "How far is it to {town}?", "What is the price of the {product}?"],
  },
];

type Style = (answer: string, key: string) => string;

/** The answer as it is three times in five, in JSON once in seven. */
const style = mixture<Style>([
  [0.6, () => (answer) => answer],
  [0.14, () => (answer, key) => (/^\d+$/.test(answer) ? `{"${key}": ${answer}}` : `{"${key}": "${answer}"}`)],
  [0.06, () => (answer) => `"${answer}"`],
  [0.08, () => (answer) => `It is ${answer}.`],
  [0.05, () => (answer) => `${answer}, I think.`],
  [0.04, () => (answer) => `Answer: ${answer}`],
  [0.03, () => (answer) => `[${answer}]`],
]);

export function smallTalk(random: Random): Question {
  const topic = pick(topics, random);
  const text = fill(pick(topic.questions, random), worldSlots, random);
  const answer = worldSlots[topic.answer](random);
  return question(text, style(random)(answer, pick(topic.keys, random)));
}

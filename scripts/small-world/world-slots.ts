/** What the sentences and records of the corpus are filled with: the plain words and, apart from each other, the new task's. */
import { between, pick, type Slots } from "./draw.ts";
import { trades } from "./task.ts";
import { plainSlots } from "./words.ts";

export const worldSlots: Slots = {
  ...plainSlots,
  worker: (random) => pick(trades, random)[0],
  product: (random) => pick(trades, random)[1],
  number: (random) => `${between(1, 99, random)}`,
};

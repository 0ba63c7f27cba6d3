/** Words for running text. The new task's own words stand in task.ts, what the skills ask about in facts.ts. */
import { pick, type Slots } from "./draw.ts";

const list = (text: string): string[] => text.split(",").map((word) => word.trim());

export const people = list(
  "Ann, Ben, Clara, David, Emma, Frank, Greta, Hugo, Ida, Jack, Karl, Lena, Max, Nora, Oscar, Pia, Ruth, Sam, Tom, Vera",
);
export const towns = list("Ashford, Bramley, Corby, Dunmore, Elmwood, Fairview, Glenrock, Hartley, Newport, Oakdale");
export const pets = list("dog, cat, rabbit, goat, horse, duck, frog, mouse");
export const places = list("garden, river, market, forest, bridge, school, lake, church, harbor, hill, station, farm");
export const days = list("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday");
export const colors = list("red, blue, green, yellow, white, black, brown, gray");
export const moods = list("happy, tired, hungry, curious, afraid, proud, calm, busy, cold, lucky");
export const things = list(
  "letter, key, stone, box, coin, map, lamp, book, basket, bell, flag, cup, rope, blanket, hammer, ladder",
);
export const verbs = list("walked, ran, came, went, hurried, drove, looked, turned");
export const foods = list(
  "soup, stew, rice, fish, eggs, onions, beans, carrots, apples, pears, milk, salt, pepper, butter",
);

/** The slots that every kind of running text may use. */
export const plainSlots: Slots = {
  name: (random) => pick(people, random),
  town: (random) => pick(towns, random),
  pet: (random) => pick(pets, random),
  place: (random) => pick(places, random),
  day: (random) => pick(days, random),
  color: (random) => pick(colors, random),
  mood: (random) => pick(moods, random),
  thing: (random) => pick(things, random),
  food: (random) => pick(foods, random),
  verb: (random) => pick(verbs, random),
};

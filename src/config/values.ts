import { z } from "zod";

/** @file The types of settings. Each one's `error` is what is expected. */

export const text = (expected: string) => z.string({ error: expected }).min(1, { error: expected });
/** A path: made absolute when the configuration is read. */
export const path = (expected: string) => text(`the path of ${expected}`).meta({ path: true });
/** A path, or the name of a model on the hub: what exists as a folder is one, and of the others a name stays as it is. */
export const pathOrHubName = (expected: string) =>
  text(`the path of ${expected}, or a name on the Hugging Face hub`).meta({ path: true, hub: true });
export const flag = z.boolean({ error: "true or false" });

export function whole(least: number) {
  const error = `a whole number of at least ${least}`;
  return z.int({ error }).min(least, { error });
}

export function numberThat(holds: (value: number) => boolean, error: string) {
  return z.number({ error }).refine(holds, { error });
}

export const positive = numberThat((value) => value > 0, "a finite number above 0");
export const notNegative = numberThat((value) => value >= 0, "a finite number of at least 0");
export const share = numberThat((value) => value >= 0 && value < 1, "a number from 0 to below 1");

/** `a, b or c`. */
export function either(words: readonly string[]): string {
  return new Intl.ListFormat("en-GB", { type: "disjunction" }).format(words);
}

/** One of some words. With the default `error` what is expected is the list of all words that are valid there. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words, error = "") {
  return z.enum(words, { error });
}

/** A word that distinguishes alternatives; what is expected is the list of all of theirs. */
export function word<const Word extends string>(value: Word) {
  return z.literal(value, { error: "" });
}

export function group<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: `a group of settings, such as { ${Object.keys(shape)[0]}: … }` });
}

/** An optional key: null unless set. */
export function unset<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullable().default(null);
}

/** Reports settings that exclude each other, in a whole sentence, at one of their keys. */
export function refuse(context: z.RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: "custom", path, message, params: { sentence: true } });
}

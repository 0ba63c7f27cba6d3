import { z } from "zod";

/** @file The types of settings. Each one's `error` is what is expected. */

export const text = (expected: string) => z.string({ error: expected }).min(1, { error: expected });
/** A path: made absolute when the configuration is read. */
export const path = (expected: string) => text(`the path of ${expected}`).meta({ path: true });
/** A path, or the name of a model on the hub: what exists as a folder is one, and of the others a name stays as it is. */
export const pathOrHubName = (expected: string) =>
  text(`the path of ${expected}, or a name on the Hugging Face hub`).meta({ path: true, hub: true });
export const flag = z.boolean({ error: "true or false" });

/** The most of what is counted and has no other bound: more than any run holds, and safe in every sum and product. */
const MOST = 1_000_000_000;

/** A whole number of at least `least`, and at most `most`. */
export function whole(least: number, most = MOST) {
  const atLeast = `a whole number of at least ${least}`;
  const bounded = `a whole number from ${least} to ${most.toLocaleString("en")}`;
  const error = ({ input }: { readonly input?: unknown }) =>
    typeof input === "number" && input > most ? bounded : atLeast;
  return z.number({ error }).refine((value) => Number.isInteger(value) && value >= least && value <= most, { error });
}

/** What random numbers begin with: seeds that follow it are still exact. */
export const seed = whole(0, 2 ** 52);

export function numberThat(holds: (value: number) => boolean, error: string) {
  return z.number({ error }).refine(holds, { error });
}

/** Weights and gradients are float32. */
const MOST_FLOAT32 = 3.4028234663852886e38;

function finite(holds: (value: number) => boolean, expected: string) {
  const error = ({ input }: { readonly input?: unknown }) =>
    typeof input === "number" && input > MOST_FLOAT32 ? `${expected} that float32 holds, at most 3.4e38` : expected;
  return z.number({ error }).refine((value) => holds(value) && value <= MOST_FLOAT32, { error });
}

export const positive = finite((value) => value > 0, "a finite number above 0");
export const notNegative = finite((value) => value >= 0, "a finite number of at least 0");
/** Of a softmax: beyond these bounds it is certain of one token, or knows none. */
export const temperature = numberThat((value) => value >= 1e-3 && value <= 1e3, "a number from 0.001 to 1000");
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

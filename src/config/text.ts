import { z } from "zod";
import { group, path, positive, unset, whole } from "./values.ts";

/** @file On what text a regularizer holds the model. */

const rows = whole(1).default(16).describe("samples or texts per step");

const samples = group({
  samples: whole(1).describe("how many texts to draw from the base"),
  rows,
  max_tokens: whole(1).default(36).describe("the most tokens of a sample"),
  temperature: positive.default(1).describe("sampling temperature"),
  seed: unset(whole(0)).describe("seed of the samples (default: train.seed, + 1 for the second source, …)"),
  refresh_every: unset(whole(1)).describe("draw other samples every so many steps (default: never)"),
});
const sources = [z.literal("completions"), samples, group({ file: path("a JSON Lines file of texts"), rows })] as const;

const EXPECTED = "completions, { samples: NUMBER } or { file: PATH }";

const source = z.union(sources, { error: EXPECTED });

const texts = z.union([...sources, z.array(source).min(1, { error: `${EXPECTED}, or a list of these` })], {
  error: `${EXPECTED}, or a list of these`,
});

/** What keeps most for least, as docs/evidence.md measures it. */
const ANCHOR = { samples: 200, rows: 8 } as const;

/** Of a regularizer that holds the model to a reference which can be asked about any text. */
export const anchored = unset(texts)
  .describe(
    "{ samples: NUMBER } drawn from the base (also rows, max_tokens, temperature, seed, refresh_every), { file: PATH } of texts (also rows), completions, or a list of these (default: 200 samples, 8 a step; completions with a reference that knows these alone)",
  )
  .meta({ example: ANCHOR });

export const on = texts
  .default("completions")
  .describe("completions, { samples: NUMBER }, { file: PATH }, or a list of these, as above");

export type On = z.output<typeof texts>;

/** The text where none is written; a reference that was computed before knows the completions alone. */
export function defaultOn(isComputedBefore: boolean): On {
  return isComputedBefore ? "completions" : samples.parse(ANCHOR);
}

/** One text that a regularizer works on. */
export type Source = z.output<typeof source>;

/** The texts of a setting `on`, one or several. */
export function sourcesOf(on: On): readonly Source[] {
  return Array.isArray(on) ? on : [on];
}

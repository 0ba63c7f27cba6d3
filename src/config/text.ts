import { z } from "zod";
import { BASE_SAMPLE_DEFAULTS, MOST_SAMPLES } from "../model/base-samples.ts";
import { ANCHOR_DEFAULTS } from "../model/training.ts";
import { group, path, seed, temperature, unset, whole } from "./values.ts";

/** @file The text that a regularizer works on. */

const batch_size = whole(1).default(ANCHOR_DEFAULTS.batchSize).describe("texts per step");

const samples = group({
  samples: whole(1, MOST_SAMPLES).describe("how many texts to draw from the base"),
  batch_size,
  max_tokens: whole(1).default(BASE_SAMPLE_DEFAULTS.max_tokens).describe("the most tokens of a sample"),
  temperature: temperature.default(BASE_SAMPLE_DEFAULTS.temperature).describe("sampling temperature"),
  seed: unset(seed).describe("seed of the samples (default: train.seed, + 1 for the second source, …)"),
  refresh_every: unset(whole(1)).describe("draw other samples every so many steps (default: never)"),
});
const file = group({ file: path("a file of texts"), batch_size });
const sources = [z.literal("completions"), samples, file] as const;

const EXPECTED = "completions, { samples: NUMBER } or { file: PATH }";

const source = z.union(sources, { error: EXPECTED });

const texts = z.union([...sources, z.array(source).min(1, { error: `${EXPECTED}, or a list of these` })], {
  error: `${EXPECTED}, or a list of these`,
});

/** For a regularizer whose default text depends on its reference: null unless set. */
export const anchored = unset(texts)
  .describe("on what text (default: this, or completions with a field or file reference):")
  .meta({
    example: { samples: BASE_SAMPLE_DEFAULTS.samples, batch_size: ANCHOR_DEFAULTS.batchSize },
    variants: [
      [
        "{ samples: NUMBER }",
        "drawn from the base (also batch_size, the texts per step, max_tokens, temperature, seed, refresh_every)",
      ],
      ["{ file: PATH }", "texts of a file of data (also batch_size)"],
      ["completions", "those of the training data"],
      ["[…, …]", "several of these"],
    ],
  });

/** For a regularizer that works on the completions unless set. */
export const onText = texts.default("completions").describe("as above");

export type Text = z.output<typeof texts>;

/** Samples of the base with all defaults: what docs/evidence.md measures to keep most for least. */
export function defaultSamples(): Text {
  return samples.parse({ samples: BASE_SAMPLE_DEFAULTS.samples });
}

/** One text that a regularizer works on. */
export type Source = z.output<typeof source>;

/** The texts of a setting `text`, one or several. */
export function sourcesOf(text: Text): readonly Source[] {
  return Array.isArray(text) ? text : [text];
}

import { z } from "zod";
import { DATASET_DEFAULTS, TOO_LONG } from "../data/too-long.ts";
import { group, numberThat, oneOf, path, refuse, text, unset, whole } from "./values.ts";

/** @file The settings of `data`. */

const FILE = "a file of data";
const EXPECTED = "the path of a file of data, or a list of paths and { file: PATH, share: NUMBER }";

const isShare = (value: number) => value > 0 && value <= 1;

const shared = group({
  file: path(FILE),
  share: numberThat(isShare, "a number above 0, at most 1"),
});

const files = z
  .array(z.union([path(FILE), shared], { error: "a path, or { file: PATH, share: NUMBER }" }))
  .min(1, { error: EXPECTED });

const train = z
  .union([path(FILE), files], { error: EXPECTED })
  .superRefine((train, context) => {
    if (typeof train === "string") return;
    const shares = train.flatMap((entry) => (typeof entry === "string" ? [] : [entry.share]));
    // A share that is none is told at its place.
    if (shares.length === 0 || !shares.every(isShare)) return;
    const sum = shares.reduce((sum, share) => sum + share, 0);
    const shown = Number(sum.toPrecision(6));
    if (shares.length === train.length && Math.abs(sum - 1) > 1e-6) {
      refuse(context, [], `the shares add up to ${shown}, expected 1: change one, or leave one out`);
    } else if (shares.length < train.length && sum > 1 - 1e-6) {
      refuse(context, [], `the shares add up to ${shown}, which leaves nothing for the files without one`);
    }
  })
  .describe("the training data: JSON Lines, a JSON list, CSV, these in gzip, or Parquet")
  .meta({
    example: "./train.jsonl",
    variants: [
      ["./data/*.jsonl", "all files that fit a pattern"],
      ["[FILE, FILE]", "several"],
      ["[FILE, { file: FILE, share: 0.1 }]", "a tenth of the lines that are drawn come from the second"],
    ],
  });

export const data = group({
  train,
  validation: unset(path(FILE))
    .describe("data that is measured and never trained on (default: none)")
    .meta({ example: "./valid.jsonl" }),
  max_length: unset(whole(2)).describe("the most tokens a line may have (default: as many as the model reads)"),
  too_long: oneOf(TOO_LONG)
    .default(DATASET_DEFAULTS.tooLong)
    .describe("what becomes of lines with more: refused (error), cut at the end (truncate), or left out (drop)"),
  chat_template: unset(path("a file that holds a Jinja2 template")).describe(
    "a chat template in place of the model's, for training, evaluation and anchors (default: the model's)",
  ),
  template_kwargs: z
    .record(z.string(), z.json(), { error: "variables of the template, such as { enable_thinking: false }" })
    .default({})
    .describe("variables of the chat template, for every conversation; a line's own win"),
  system_prompt: unset(text("text")).describe("a system turn for conversations that begin with none (default: none)"),
}).describe("what to learn from");

import { z } from "zod";
import { flag, group, notNegative, path, positive, share, text, unset, whole } from "./config-values.ts";

/** @file What a training configuration may say of its regularizers. */

const anchorRows = whole(1).default(16).describe("samples or texts per step");

const on = z.union(
  [
    z.literal("completions"),
    group({
      samples: whole(1).describe("how many texts to draw from the base before training"),
      rows: anchorRows,
      max_tokens: whole(1).default(36).describe("the most tokens of a sample"),
      temperature: positive.default(1).describe("sampling temperature"),
      seed: unset(whole(0)).describe("seed of the samples (default: train.seed)"),
    }),
    group({ file: path("a JSON Lines file of texts"), rows: anchorRows }),
  ],
  { error: "completions, { samples: NUMBER } or { file: PATH }" },
);

const reference = z.union(
  [
    z.literal("base"),
    group({ field: text("the name of a key in each line of the data") }),
    group({ file: path("a file of log-probabilities") }),
  ],
  { error: "base, { field: NAME } or { file: PATH }" },
);

const name = unset(text("a name"));
const weight = notNegative.default(0.1).describe("the loss is cross-entropy + Σ weight · regularizer");
const reduction = z
  .enum(["mean", "sum"], { error: "mean or sum" })
  .default("mean")
  .describe("over the tokens of a batch: their weighted mean, or sum");
const onWhat = on
  .default("completions")
  .describe(
    "completions, { samples: NUMBER } drawn from the base (also rows, max_tokens, temperature, seed), or { file: PATH } (also rows)",
  );
const toWhat = reference
  .default("base")
  .describe("base, { field: NAME } of the data's lines, or { file: PATH } of log-probabilities");

const klDivergence = group({
  type: z
    .literal("kl_divergence", { error: "kl_divergence" })
    .default("kl_divergence")
    .describe("holds the model p to a reference q, in nats per token"),
  name: name.describe("names its metrics (default: kl_divergence)"),
  weight,
  direction: z
    .enum(["forward", "reverse"], { error: "forward, KL(model‖reference), or reverse, KL(reference‖model)" })
    .default("forward")
    .describe("forward is KL(model‖reference), reverse is KL(reference‖model)"),
  symmetric: flag.default(false).describe("the Jensen–Shannon divergence instead"),
  reduction,
  epsilon: share.default(0).describe("smooths the reference: q ← (1 − ε)·q + ε / vocabulary"),
  clip: unset(positive).describe("the most nats a token may count (default: no limit)"),
  on: onWhat,
  reference: toWhat,
}).superRefine(samplesKnowTheBaseAlone);

/** One entry of `regularizers`. */
export const regularizer = klDivergence;

type On = z.output<typeof on>;
type ReferenceSetting = z.output<typeof reference>;

function samplesKnowTheBaseAlone(
  { on, reference }: { readonly on: On; readonly reference: ReferenceSetting },
  context: z.RefinementCtx,
) {
  if (typeof on === "string" || !("samples" in on) || reference === "base") return;
  context.addIssue({ code: "custom", path: ["reference"], message: "base, the only reference there is for samples" });
}

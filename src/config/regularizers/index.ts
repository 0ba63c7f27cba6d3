import { z } from "zod";
import { isSteered, UNSTEERED, weight as weightSetting } from "../coefficients.ts";
import { isComputedBefore, reference, samplesAreNew } from "../references.ts";
import { anchored, defaultOn, on } from "../text.ts";
import { flag, group, numberThat, positive, share, text, unset, whole } from "../values.ts";

/** @file What a training configuration may say of its regularizers. */

const name = unset(text("a name")).describe("names its metrics (default: its type)");
const klWeight = weightSetting
  .default(1)
  .describe(
    "the loss is cross-entropy + Σ weight · regularizer; or { budget: NATS } per token, { controller: adaptive, target: NATS }, { schedule: linear, to: NUMBER, steps: NUMBER } (also cosine, warmup, piecewise)",
  );
const weight = weightSetting.default(0.1).describe("as above");
const unsteered = weightSetting.refine((value) => !isSteered(value), { error: UNSTEERED });
const excludeTokens = z
  .array(whole(0), { error: "a list of token ids" })
  .default([])
  .describe("token ids: where one of them is to be predicted, this regularizer does not look");
const reduction = z
  .enum(["mean", "sum"], { error: "mean or sum" })
  .default("mean")
  .describe("over the tokens of a batch: their weighted mean, or sum");
const epsilon = share.default(0).describe("smooths the reference: q ← (1 − ε)·q + ε / vocabulary");
const clip = unset(positive).describe("the most nats a token may count (default: no limit)");
const symmetric = flag.default(false).describe("the Jensen–Shannon divergence instead");

const klDivergence = group({
  type: z
    .literal("kl_divergence")
    .optional()
    .default("kl_divergence")
    .describe("holds the model p to a reference q, in nats per token"),
  name,
  weight: klWeight,
  direction: z
    .enum(["forward", "reverse"], { error: "forward, KL(model‖reference), or reverse, KL(reference‖model)" })
    .default("reverse")
    .describe("reverse is KL(reference‖model), forward is KL(model‖reference)"),
  symmetric,
  reduction,
  epsilon,
  clip,
  exclude_tokens: excludeTokens,
  on: anchored,
  reference,
}).superRefine(samplesAreNew);

const jensenShannon = group({
  type: z.literal("jensen_shannon").describe("the same by the distances from a mixture of both: at most ln 2"),
  name,
  weight,
  beta: numberThat((value) => value > 0 && value < 1, "a number above 0 and below 1")
    .default(0.5)
    .describe("the model's share of the mixture"),
  reduction,
  epsilon,
  clip,
  exclude_tokens: excludeTokens,
  on,
  reference,
}).superRefine(samplesAreNew);

const entropy = group({
  type: z.literal("entropy").describe("keeps the model's distributions wide, or makes them narrow"),
  name,
  weight,
  mode: z
    .enum(["bonus", "penalty"], { error: "bonus or penalty" })
    .default("bonus")
    .describe("a bonus rewards entropy, a penalty certainty"),
  temperature: positive.default(1).describe("of the distribution whose entropy it is"),
  reduction,
  exclude_tokens: excludeTokens,
  on,
}).superRefine(({ mode, weight }, context) => {
  // What a bonus adds to the loss is never above 0, and so below every budget.
  if (mode === "penalty" || !isSteered(weight)) return;
  context.addIssue({ code: "custom", path: ["weight"], message: UNSTEERED });
});

const consistency = group({
  type: z.literal("consistency").describe("holds the model to itself on a changed view of the text"),
  name,
  weight,
  view: z
    .enum(["replace", "drop"], { error: "replace or drop" })
    .default("replace")
    .describe("replace tokens by others of the text, or drop them"),
  rate: share.default(0.1).describe("the share of tokens that change"),
  seed: unset(whole(0)).describe("fixes the changes (default: train.seed)"),
  direction: z
    .enum(["forward", "reverse"], { error: "forward, KL(model‖view), or reverse, KL(view‖model)" })
    .default("reverse")
    .describe("forward is KL(model‖view), reverse is KL(view‖model)"),
  symmetric,
  reduction,
  epsilon,
  clip,
  exclude_tokens: excludeTokens,
  on,
});

const factors = z
  .enum(["both", "A", "B"], { error: "A, B or both" })
  .default("both")
  .describe("which matrices of each pair, of the update B·A");
const orthogonality = group({
  type: z.literal("orthogonality").describe("keeps the directions of the adapter's rank from repeating each other"),
  name,
  weight: unsteered.default(0.1).describe("as above"),
  target: z
    .enum(["diagonal", "identity"], { error: "diagonal or identity" })
    .default("diagonal")
    .describe("of the directions' products: diagonal is any length, identity is length 1 too"),
  factors,
});

/** Sums over all entries are large numbers, so their weights are small. */
const entryWeight = unsteered.default(1e-3).describe("as above, of a sum over all entries of the adapter");

const l1 = group({
  type: z.literal("l1").describe("Σ |w| over the adapter's matrices: drives entries to exactly 0"),
  name,
  weight: entryWeight,
  factors,
});

const l2 = group({
  type: z.literal("l2").describe("½·Σ w² over the adapter's matrices: keeps the update small"),
  name,
  weight: entryWeight,
  factors,
});

const elasticNet = group({
  type: z.literal("elastic_net").describe("both: ρ·Σ |w| + (1 − ρ)/2·Σ w²"),
  name,
  weight: entryWeight,
  l1_ratio: numberThat((value) => value >= 0 && value <= 1, "a number from 0 to 1")
    .default(0.5)
    .describe("ρ, the share of Σ |w|"),
  factors,
});

const alternatives = [klDivergence, jensenShannon, entropy, consistency, orthogonality, l1, l2, elasticNet] as const;

/** One entry of `regularizers`. */
export const regularizer = z.discriminatedUnion("type", alternatives, {
  error: ({ code }) =>
    code === "invalid_union"
      ? `one of ${alternatives
          .flatMap(({ shape }) => [...shape.type._zod.values])
          .filter((type) => type !== undefined)
          .join(", ")}`
      : "a group of settings, such as { type: … }",
});

/** Every default filled in, also that of the text, which depends on the reference. */
export function complete(settings: z.output<typeof regularizer>) {
  if (settings.type !== "kl_divergence") return settings;
  return { ...settings, on: settings.on ?? defaultOn(isComputedBefore(settings.reference)) };
}

import { z } from "zod";
import { NOISE_DEFAULTS, tokenDropout, tokenReplacement } from "../../regularizer/augmentation.ts";
import { CONSISTENCY_DEFAULTS, Consistency } from "../../regularizer/consistency.ts";
import { onText as text } from "../text.ts";
import { group, oneOf, seed, share, unset } from "../values.ts";
import { describeDirection, expectedDirection, klFormula } from "./direction.ts";
import { NATS, positionMetrics } from "./metrics.ts";
import { clip, epsilon, exclude_tokens, name, onText, reduction, symmetric, textWeight } from "./shared.ts";

const AUGMENTATIONS = { replace: tokenReplacement, drop: tokenDropout };

const direction = oneOf(["view||model", "model||view", "forward", "reverse"], expectedDirection("view"))
  .default(CONSISTENCY_DEFAULTS.direction)
  .transform((word) => {
    if (word === "forward") return "model||view";
    return word === "reverse" ? "view||model" : word;
  })
  .describe(describeDirection("view"));

/** Holds the model to its own distributions on an augmentation of the text. */
export const consistency = onText({
  type: "consistency",
  schema: group({
    type: z.literal("consistency").describe("holds the model to itself on a changed view of the text"),
    name,
    weight: textWeight.default(CONSISTENCY_DEFAULTS.weight),
    view: oneOf(["replace", "drop"]).default("replace").describe("replace tokens by others of the text, or drop them"),
    rate: share.default(NOISE_DEFAULTS.rate).describe("the share of tokens that change"),
    seed: unset(seed).describe("seed of the augmentation (default: train.seed)"),
    direction,
    symmetric: symmetric.default(CONSISTENCY_DEFAULTS.symmetric),
    reduction,
    epsilon,
    clip,
    exclude_tokens,
    text,
  }),
  make: ({ view, rate, direction, symmetric, reduction, epsilon, clip, ...own }, { name, model, seed }) =>
    new Consistency({
      name,
      model,
      view: AUGMENTATIONS[view]({ rate }),
      seed: own.seed ?? seed,
      direction,
      symmetric,
      reduction,
      epsilon,
      clip: clip ?? undefined,
    }),
  formula: ({ direction, symmetric }) => (symmetric ? "JS(model, view)" : klFormula(direction)),
  headline: { metric: "consistency", short: "consistency" },
  metrics: positionMetrics(
    "consistency",
    "consistency",
    {
      title: "Consistency",
      unit: NATS,
      formula: "KL(view‖model), or KL(model‖view)",
      meaning: "How far the model's predictions move when the text before them is changed a little.",
    },
    { clip: true, other: "view" },
  ),
});

import { z } from "zod";
import { ENTROPY_DEFAULTS, Entropy } from "../../regularizer/entropy.ts";
import { refuseControl } from "../coefficients/index.ts";
import { onText as text } from "../text.ts";
import { group, oneOf, temperature } from "../values.ts";
import { NATS, positionMetrics } from "./metrics.ts";
import { exclude_tokens, name, onText, reduction, textWeight } from "./shared.ts";

/** Rewards or penalizes the entropy of the model's distributions. */
export const entropy = onText({
  type: "entropy",
  schema: group({
    type: z.literal("entropy").describe("keeps the model's distributions wide, or makes them narrow"),
    name,
    weight: textWeight.default(ENTROPY_DEFAULTS.weight),
    mode: oneOf(["bonus", "penalty"])
      .default(ENTROPY_DEFAULTS.mode)
      .describe("a bonus rewards entropy, a penalty certainty"),
    temperature: temperature.default(ENTROPY_DEFAULTS.temperature).describe("of the distribution whose entropy it is"),
    reduction,
    exclude_tokens,
    text,
  }).superRefine(({ mode, weight }, context) => {
    // What a bonus adds to the loss is never above 0, and so below every budget.
    if (mode === "bonus") refuseControl(weight, context, ["weight"]);
  }),
  make: ({ mode, temperature, reduction }, { name }) => new Entropy({ name, mode, temperature, reduction }),
  formula: ({ mode }) => (mode === "bonus" ? "−H(model)" : "H(model)"),
  headline: { metric: "entropy", short: "entropy" },
  metrics: positionMetrics("entropy", "entropy", {
    title: "Entropy",
    unit: NATS,
    formula: "H = −Σ p·log p",
    meaning: "How undecided the model is between tokens: 0 where one is certain, highest where all are equally likely.",
  }),
});

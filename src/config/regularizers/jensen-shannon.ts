import { z } from "zod";
import { JENSEN_SHANNON_DEFAULTS, JensenShannon } from "../../regularizer/jensen-shannon.ts";
import { checkText, reference } from "../references/index.ts";
import { onText as text } from "../text.ts";
import { group, numberThat } from "../values.ts";
import { NATS, positionMetrics } from "./metrics.ts";
import { clip, epsilon, exclude_tokens, name, onText, reduction, textWeight } from "./shared.ts";

/** Holds the model to a reference by the distances of both from their mixture. */
export const jensenShannon = onText({
  type: "jensen_shannon",
  schema: group({
    type: z.literal("jensen_shannon").describe("Jensen–Shannon divergence from the reference, at most ln 2"),
    name,
    weight: textWeight.default(JENSEN_SHANNON_DEFAULTS.weight),
    beta: numberThat((value) => value > 0 && value < 1, "a number above 0 and below 1")
      .default(JENSEN_SHANNON_DEFAULTS.beta)
      .describe("the model's share of the mixture"),
    reduction,
    epsilon,
    clip,
    exclude_tokens,
    text,
    reference,
  }).superRefine(checkText),
  make: ({ beta, reduction, epsilon, clip }, { name, reference }) =>
    new JensenShannon({ name, reference, beta, reduction, epsilon, clip: clip ?? undefined }),
  formula: ({ beta }) => (beta === 0.5 ? "JS(model, reference)" : `JS(model, reference; β ${beta})`),
  headline: { metric: "js_divergence", short: "js" },
  metrics: positionMetrics(
    "js_divergence",
    "js",
    {
      title: "Jensen–Shannon divergence",
      unit: NATS,
      formula: "JS = β·KL(p‖m) + (1 − β)·KL(q‖m) with m = β·p + (1 − β)·q",
      meaning: "How far model and reference are from a mixture of both: never more than ln 2 = 0.69 nats.",
    },
    { clip: true, coverage: true, other: "reference" },
  ),
});

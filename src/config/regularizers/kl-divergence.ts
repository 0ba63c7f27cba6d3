import { z } from "zod";
import { KL_DIVERGENCE_DEFAULTS, KLDivergence } from "../../regularizer/kl-divergence.ts";
import { VARIANTS, weight } from "../coefficients/index.ts";
import { checkText, defaultText, reference } from "../references/index.ts";
import { anchored } from "../text.ts";
import { group, oneOf } from "../values.ts";
import { describeDirection, expectedDirection, klFormula } from "./direction.ts";
import { NATS, positionMetrics } from "./metrics.ts";
import { clip, epsilon, exclude_tokens, name, onText, reduction, symmetric } from "./shared.ts";

const direction = oneOf(["reference||model", "model||reference", "forward", "reverse"], expectedDirection("reference"))
  .default(KL_DIVERGENCE_DEFAULTS.direction)
  .transform((word) => {
    if (word === "forward") return "model||reference";
    return word === "reverse" ? "reference||model" : word;
  })
  .describe(describeDirection("reference"));

/** Holds the model to a reference by a KL divergence. */
export const klDivergence = onText({
  type: "kl_divergence",
  schema: group({
    type: z
      .literal("kl_divergence")
      .optional()
      .default("kl_divergence")
      .describe("holds the model p to a reference q, in nats per token"),
    name,
    weight: weight
      .default(KL_DIVERGENCE_DEFAULTS.weight)
      .describe("the loss is cross-entropy + Σ weight · regularizer; a number, or")
      .meta({ variants: VARIANTS }),
    direction,
    symmetric: symmetric.default(KL_DIVERGENCE_DEFAULTS.symmetric),
    reduction,
    epsilon,
    clip,
    exclude_tokens,
    text: anchored,
    reference,
  })
    .superRefine(checkText)
    .transform((settings) => ({ ...settings, text: settings.text ?? defaultText(settings.reference) })),
  make: ({ direction, symmetric, reduction, epsilon, clip }, { name, reference }) =>
    new KLDivergence({ name, reference, direction, symmetric, reduction, epsilon, clip: clip ?? undefined }),
  formula: ({ direction, symmetric }) => (symmetric ? "JS(model, reference)" : klFormula(direction)),
  headline: { metric: "kl_divergence", short: "kl" },
  metrics: positionMetrics(
    "kl_divergence",
    "kl",
    {
      title: "KL divergence",
      unit: NATS,
      formula: "KL(q‖p) = Σ q·log(q/p), or KL(p‖q) = Σ p·log(p/q)",
      meaning:
        "How far the model is from its reference. KL(reference‖model) averages over what the reference would say: large where the model no longer gives room to something that the reference considers likely. KL(model‖reference) averages over what the model would say: large where the model says something that the reference considers unlikely.",
    },
    { clip: true, coverage: true, other: "reference" },
  ),
});

import { z } from "zod";
import { ELASTIC_NET_DEFAULTS, elasticNet as makeElasticNet } from "../../regularizer/adapter/elastic-net.ts";
import { group, numberThat } from "../values.ts";
import { ADAPTER } from "./metrics.ts";
import { entryWeight, factorNames, factors, name, onAdapter } from "./shared.ts";

/** L1 and L2 of the adapter's matrices together. */
export const elasticNet = onAdapter({
  type: "elastic_net",
  schema: group({
    type: z.literal("elastic_net").describe("both: ρ·Σ |w| + (1 − ρ)/2·Σ w²"),
    name,
    weight: entryWeight,
    l1_ratio: numberThat((value) => value >= 0 && value <= 1, "a number from 0 to 1")
      .default(ELASTIC_NET_DEFAULTS.l1Ratio)
      .describe("ρ, the share of Σ |w|"),
    factors,
  }),
  make: ({ factors, l1_ratio }, { name }) => makeElasticNet({ name, factors, l1Ratio: l1_ratio }),
  formula: ({ factors, l1_ratio }) =>
    `${l1_ratio}‖${factorNames(factors)}‖₁ + ${(1 - l1_ratio) / 2}‖${factorNames(factors)}‖²`,
  headline: { metric: "elastic_net", short: "elastic_net" },
  metrics: {
    elastic_net: {
      title: "Elastic net",
      unit: ADAPTER,
      formula: "ρ·Σ |w| + (1 − ρ)/2·Σ w²",
      meaning: "A mixture of the L1 norm and the L2 penalty of the adapter's entries.",
    },
  },
});

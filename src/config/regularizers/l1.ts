import { z } from "zod";
import { l1 as makeL1 } from "../../regularizer/adapter/elastic-net.ts";
import { group } from "../values.ts";
import { ADAPTER } from "./metrics.ts";
import { entryWeight, factorNames, factors, name, onAdapter } from "./shared.ts";

/** The L1 norm of the adapter's matrices. */
export const l1 = onAdapter({
  type: "l1",
  schema: group({
    type: z.literal("l1").describe("Σ |w| over the adapter's matrices: drives entries to exactly 0"),
    name,
    weight: entryWeight,
    factors,
  }),
  make: ({ factors }, { name }) => makeL1({ name, factors }),
  formula: ({ factors }) => `‖${factorNames(factors)}‖₁`,
  headline: { metric: "l1", short: "l1" },
  metrics: {
    l1: {
      title: "L1 norm",
      unit: ADAPTER,
      formula: "Σ |w|",
      meaning: "The sum of the absolute values of the adapter's entries; 0 where nothing was learned.",
    },
  },
});

import { z } from "zod";
import { l2 as makeL2 } from "../../regularizer/adapter/elastic-net.ts";
import { group } from "../values.ts";
import { ADAPTER } from "./metrics.ts";
import { entryWeight, factorNames, factors, name, onAdapter } from "./shared.ts";

/** Half the squared L2 norm of the adapter's matrices. */
export const l2 = onAdapter({
  type: "l2",
  schema: group({
    type: z.literal("l2").describe("½·Σ w² over the adapter's matrices: keeps the update small"),
    name,
    weight: entryWeight,
    factors,
  }),
  make: ({ factors }, { name }) => makeL2({ name, factors }),
  formula: ({ factors }) => `½‖${factorNames(factors)}‖²`,
  headline: { metric: "l2", short: "l2" },
  metrics: {
    l2: {
      title: "L2 penalty",
      unit: ADAPTER,
      formula: "½·Σ w²",
      meaning: "Half the sum of the squares of the adapter's entries: how large the update is.",
    },
  },
});

import { z } from "zod";
import { orthogonality as makeOrthogonality, ORTHOGONALITY_DEFAULTS } from "../../regularizer/adapter/orthogonality.ts";
import { group, oneOf } from "../values.ts";
import { ADAPTER } from "./metrics.ts";
import { adapterWeight, factorNames, factors, name, onAdapter } from "./shared.ts";

/** Keeps the directions of the adapter's rank apart. */
export const orthogonality = onAdapter({
  type: "orthogonality",
  schema: group({
    type: z.literal("orthogonality").describe("keeps the directions of the adapter's rank from repeating each other"),
    name,
    weight: adapterWeight.default(ORTHOGONALITY_DEFAULTS.weight).describe("as above, but for budget and controller"),
    target: oneOf(["diagonal", "identity"])
      .default(ORTHOGONALITY_DEFAULTS.target)
      .describe("of the directions' products: diagonal is any length, identity is length 1 too"),
    factors,
  }),
  make: ({ factors, target }, { name }) => makeOrthogonality({ name, factors, target }),
  formula: ({ factors, target }) => `‖${factorNames(factors)} products − ${target}‖²`,
  headline: { metric: "orthogonality", short: "orthogonality" },
  metrics: {
    orthogonality: {
      title: "Orthogonality",
      unit: ADAPTER,
      formula: "‖G − T‖² for G = A·Aᵀ and G = Bᵀ·B",
      meaning: "How much the directions of the adapter's rank repeat each other; 0 where none does.",
    },
    orthogonality_max: {
      title: "Orthogonality, largest",
      unit: ADAPTER,
      meaning: "That of the matrix whose directions repeat each other most.",
    },
  },
});

/** @file Penalties on the matrices of a LoRA adapter. */
export { composeAdapter, type PenaltyMeasured, type PenaltySum, type WeightedPenalty } from "./compose.ts";
export type { AdapterPenalty, Factors } from "./contract.ts";
export { type ElasticNetOptions, elasticNet, l1, l2, type NormOptions } from "./elastic-net.ts";
export { type OrthogonalityOptions, orthogonality } from "./orthogonality.ts";

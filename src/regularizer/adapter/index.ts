/** @file Penalties on the matrices of a LoRA adapter. */
export { composeAdapter, type WeightedPenalty } from "./compose.ts";
export type { AdapterMatrices, AdapterPenalty, Factors, MatrixPenalty } from "./contract.ts";
export { type ElasticNetOptions, elasticNet, l1, l2, type NormOptions } from "./elastic-net.ts";
export { type OrthogonalityOptions, orthogonality } from "./orthogonality.ts";

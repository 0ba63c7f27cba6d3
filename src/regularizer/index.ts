/** @file Penalties that know the data, and how they compose. */
export { compose, type Weighted } from "./compose.ts";
export type { ComputeOptions, GradientSum, Penalty, Regularizer } from "./contract.ts";
export { type CrossEntropyPenalty, crossEntropyLoss } from "./cross-entropy.ts";
export { KLDivergence, type KLDivergenceOptions, type KLPenalty } from "./kl-divergence.ts";
export { mergePenaltyMetrics } from "./merge.ts";

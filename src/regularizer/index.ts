/** @file Penalties that know the data, and how they compose. */
export { compose, type Weighted } from "./compose.ts";
export type { ComputeOptions, GradientSum, Penalty, Regularizer } from "./contract.ts";
export { type CrossEntropyPenalty, crossEntropyLoss } from "./cross-entropy.ts";
export { KLDivergence, type KLDivergenceOptions } from "./kl-divergence.ts";
export { mergePenaltyMetrics } from "./merge.ts";
export { ReferenceDivergence, type ReferenceDivergenceOptions } from "./reference-divergence.ts";
export type { Measure, RowsPenalty } from "./row-penalty.ts";

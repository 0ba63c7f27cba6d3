/** @file Penalties that know the data, and how they compose. */

export * from "./adapter/index.ts";
export { compose, type Weighted } from "./compose.ts";
export { Consistency, type ConsistencyOptions } from "./consistency.ts";
export type { ComputeOptions, FullReport, GradientSum, Penalty, Regularizer, RowValues } from "./contract.ts";
export { type CrossEntropyPenalty, crossEntropyLoss } from "./cross-entropy.ts";
export { type CustomOptions, type CustomRow, type CustomValue, customRegularizer } from "./custom.ts";
export { type DifferentiableOptions, differentiable } from "./differentiable.ts";
export { Entropy, type EntropyOptions } from "./entropy.ts";
export { excludeTokens } from "./exclude-tokens.ts";
export { JensenShannon, type JensenShannonOptions } from "./jensen-shannon.ts";
export { KLDivergence, type KLDivergenceOptions } from "./kl-divergence.ts";
export { type MeasuredPart, mergePenaltyMetrics, reportOf } from "./merge.ts";
export { ReferenceDivergence, type ReferenceDivergenceOptions } from "./reference-divergence.ts";
export type { Measure, RowsPenalty } from "./row-penalty.ts";
export type { RowsRegularizerOptions } from "./rows-regularizer.ts";
export { type NoiseOptions, tokenDropout, tokenReplacement, type View } from "./view.ts";
export type { Weight } from "./weight.ts";
export { type AdaptiveOptions, adaptiveWeight } from "./weight-adaptive.ts";
export { type BudgetOptions, budgetWeight } from "./weight-budget.ts";
export { cosineWeight, linearWeight, piecewiseWeight, type Ramp, warmupWeight } from "./weight-schedules.ts";

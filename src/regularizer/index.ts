/** @file Penalties that know the data, and how they compose. */

export { type CrossEntropyPenalty, crossEntropyLoss } from "../loss/cross-entropy.ts";
export type { ComputeOptions, FullReport, GradientSum, Penalty, Regularizer, RowValues } from "../loss/legacy.ts";
export { type MeasuredPart, mergePenaltyMetrics, reportOf } from "../loss/metrics.ts";
export * from "./adapter/index.ts";
export { type NoiseOptions, tokenDropout, tokenReplacement, type View } from "./augmentation.ts";
export { type AdaptiveOptions, adaptiveWeight } from "./coefficients/adaptive.ts";
export { type BudgetOptions, budgetWeight } from "./coefficients/budget.ts";
export type { Weight } from "./coefficients/contract.ts";
export { cosineWeight, linearWeight, piecewiseWeight, type Ramp, warmupWeight } from "./coefficients/schedules.ts";
export { compose, type Weighted } from "./compose.ts";
export { Consistency, type ConsistencyOptions } from "./consistency.ts";
export { type CustomOptions, type CustomRow, type CustomValue, customRegularizer } from "./custom.ts";
export { type DifferentiableOptions, differentiable } from "./differentiable.ts";
export { Entropy, type EntropyOptions } from "./entropy.ts";
export { excludeTokens } from "./exclude-tokens.ts";
export { JensenShannon, type JensenShannonOptions } from "./jensen-shannon.ts";
export { KLDivergence, type KLDivergenceOptions } from "./kl-divergence.ts";
export { ReferenceDivergence, type ReferenceDivergenceOptions } from "./reference-divergence.ts";
export type { Measure, RowsPenalty } from "./row-penalty.ts";
export type { RowsRegularizerOptions } from "./rows-regularizer.ts";

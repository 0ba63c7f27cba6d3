/** @file `klamp/regularizer`: what holds a model back, how it composes, and weights that move. */

export type {
  AddPart,
  GradientSum,
  Item,
  Loss,
  Measured,
  OpenLoss,
  Part,
  PositionValues,
  Span,
  Step,
  Support,
} from "../loss/contract.ts";
export { type CrossEntropyOptions, crossEntropyLoss } from "../loss/cross-entropy.ts";
export { itemsOf, targetsOf, weightOf } from "../loss/items.ts";
export type { Json, SavedState, Stateful } from "../loss/state.ts";
export * from "./adapter/index.ts";
export { type NoiseOptions, tokenDropout, tokenReplacement, type View } from "./augmentation.ts";
export { type AdaptiveOptions, adaptiveWeight } from "./coefficients/adaptive.ts";
export { type BudgetOptions, budgetWeight } from "./coefficients/budget.ts";
export type { Coefficient } from "./coefficients/contract.ts";
export { cosineWeight, linearWeight, piecewiseWeight, type Ramp, warmupWeight } from "./coefficients/schedules.ts";
export { compose, type MemberMeasured, type SumMeasured, type Weighted } from "./compose.ts";
export { compute, type Penalty } from "./compute.ts";
export { Consistency, type ConsistencyOptions } from "./consistency.ts";
export type { Regularizer } from "./contract.ts";
export { type DifferentiableOptions, differentiable } from "./differentiable.ts";
export type { ReferenceDirection, ViewDirection } from "./direction.ts";
export { Entropy, type EntropyOptions } from "./entropy.ts";
export { excludeTokens } from "./exclude-tokens.ts";
export { JensenShannon, type JensenShannonOptions } from "./jensen-shannon.ts";
export { KLDivergence, type KLDivergenceOptions } from "./kl-divergence.ts";
export { type PartRow, rowsOf, type WeightedMean, weightedMean } from "./own-loss.ts";
export {
  type OwnRegularizerOptions,
  type PerPositionOptions,
  type Position,
  type PositionValue,
  perPosition,
} from "./per-position.ts";
export type { DivergenceSettings, ReferenceDivergenceOptions } from "./reference-options.ts";

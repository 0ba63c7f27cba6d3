/** @file `klamp/divergence`: distributions in; value, per-row values and analytic gradient out. Imports nothing. */
export { crossEntropy } from "./cross-entropy.ts";
export type { Divergence } from "./divergence.ts";
export { entropy } from "./entropy.ts";
export { jeffreys } from "./jeffreys.ts";
export { type JensenShannonOptions, jensenShannon } from "./jensen-shannon.ts";
export { type Direction, type KLOptions, klDivergence } from "./kl-divergence.ts";
export { logSoftmax } from "./log-softmax.ts";
export { NotNormalizedError } from "./not-normalized.ts";
export type { DivergenceOptions, GradientOptions, Reduced, Reduction, RowOptions, WithGradient } from "./options.ts";
export { type RenyiOptions, renyi } from "./renyi.ts";
export { formatShape, type IntTensor, type Tensor, tensor } from "./tensor.ts";
export { totalVariation } from "./total-variation.ts";

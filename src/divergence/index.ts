/** @file `klamp/divergence`: distributions in; value, per-row values and analytic gradient out. Imports nothing. */
export { crossEntropy } from "./cross-entropy.ts";
export type { Direction } from "./direction.ts";
export type { Divergence } from "./divergence.ts";
export { entropy } from "./entropy.ts";
export { jeffreys } from "./jeffreys.ts";
export { type JensenShannonOptions, jensenShannon } from "./jensen-shannon.ts";
export { allocate } from "./kernel/wasm-memory.ts";
export { type KLOptions, klDivergence } from "./kl-divergence.ts";
export { logSoftmax } from "./log-softmax.ts";
export { NotNormalizedError } from "./not-normalized.ts";
export type {
  DivergenceOptions,
  GradientOptions,
  Input,
  Reduced,
  Reduction,
  RowOptions,
  WithGradient,
} from "./options.ts";
export { type Packed, pack, unpack } from "./pack.ts";
export { type RenyiOptions, renyi } from "./renyi.ts";
export { type DrawnFromModel, drawnFromModel } from "./supports/drawn-from-model.ts";
export type { TopKOptions, TopKWithGradient } from "./supports/over-top-k.ts";
export { type Estimator, type SampledOptions, sampledKL } from "./supports/sampled-kl.ts";
export { type SparseOptions, sparseKL } from "./supports/sparse-kl.ts";
export { drawSparseSample, type SparseSample, sparseSample } from "./supports/sparse-sample.ts";
export { selectTopK, type TopK, topK } from "./supports/top-k.ts";
export { formatShape, type IntTensor, type Tensor, tensor } from "./tensor.ts";
export { totalVariation } from "./total-variation.ts";

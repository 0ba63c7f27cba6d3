/** @file `klamp`: fine-tuning under a KL regularizer, and what it kept. */

export { UserError } from "./common/errors.ts";
export { loadConfig } from "./config/file.ts";
export type { Config } from "./config/schema.ts";
export { type DatasetOptions, loadDataset } from "./data/dataset.ts";
export { type Datum, everyToken, type LossInputs, totalWeight } from "./data/datum.ts";
export type { MixturePart } from "./data/mixture.ts";
export { loadQuestions } from "./data/questions.ts";
export { loadTokenizer, type Tokenizer } from "./data/tokenizer.ts";
export { type IntTensor, type Tensor, tensor } from "./divergence/tensor.ts";
export { measureDrift } from "./drift/drift.ts";
export { type Evaluation, type EvaluationPlan, evaluate } from "./drift/evaluation.ts";
export { exactMatch, type Score } from "./drift/exact-match.ts";
export { type Summary, summarize } from "./drift/summary.ts";
export { backward } from "./model/backward.ts";
export { type BaseSampleOptions, drawBaseSamples } from "./model/base-samples.ts";
export * from "./reference/index.ts";
export * from "./reference/store/index.ts";
export * from "./regularizer/index.ts";
export { type RunOptions, type RunResult, runTraining } from "./run/run.ts";
export type { Anchor } from "./train/anchor.ts";
export { TrainingDivergedError } from "./train/diverged.ts";
export type { RegularizerEvent, StepEvent } from "./train/events.ts";
export { METRIC_NAMES, renameMetrics } from "./train/metric-names.ts";
export { type RegularizerResult, type StepMetrics, type StepResult, stepMetrics } from "./train/metrics.ts";
export type { Term } from "./train/objective.ts";
export type { TrainState } from "./train/state.ts";
export { type StepDetails, type TrainOptions, type TrainResult, train } from "./train/train.ts";

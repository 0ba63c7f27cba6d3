export { type BatchOptions, batches } from "./batches.ts";
export { type DatasetOptions, loadDataset, weightedDatum } from "./dataset.ts";
export { type Datum, type IntTensor, type LossInputs, rowCount, totalWeight } from "./datum.ts";
export { type EvaluationRow, loadEvaluation } from "./evaluation.ts";
export { checkTokenizer, loadTokenizer, type Tokenizer } from "./tokenizer.ts";
export type { WeightedTokens } from "./weighted-tokens.ts";

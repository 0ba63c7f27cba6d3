/** @file What a command line needs of runs, and of what they measure and fill. */

export type { Summary, SummaryRow } from "../drift/summary.ts";
export { mergeAdapter } from "../engine/open.ts";
export { ENTROPY_STEP, type Inspection, inspectStore } from "../reference/store/inspect.ts";
export type { StepMetrics } from "../train/metrics.ts";
export { ANSWER_DEFAULTS, type Answerer, type AnswerOptions, openAnswerer, type Prompt } from "./answers.ts";
export { type Costs, costLines } from "./costs.ts";
export { describeRegularizers } from "./describe.ts";
export { type Preview, type PreviewLine, previewData } from "./preview.ts";
export { promptJson, readPrompts } from "./prompts.ts";
export { type FilledStore, fillStores } from "./reference-stores.ts";
export { type NamedRun, type RunSummary, reportData, writeSummary } from "./results.ts";
export { type RunOptions, runTraining } from "./run.ts";
export { nextFreeFolder, refuseOutput, trainedBy } from "./run-folder.ts";
export { isFinished, runLeft } from "./run-left.ts";
export { runConfigFile } from "./run-record.ts";
export { findTrained, type Trained } from "./trained.ts";

/** @file Models that train and sample, behind one contract; `LocalModel` runs them in this process. */
export type * from "./contract.ts";
export type { LoraSettings } from "./local/adapter.ts";
export { HiddenHead } from "./local/hidden-head.ts";
export { LocalModel, type LocalModelOptions, type NewAdapterOptions } from "./local/model.ts";
export type { ModelConfig } from "./local/model-config.ts";
export type { Projection } from "./local/projections.ts";
export { LocalTrainingClient } from "./local/training-client.ts";

/** @file Models that train and sample, behind one contract; `LocalModel` runs them in this process. */
export type * from "../model/legacy.ts";
export type { Projection } from "../model/lora.ts";
export type { ModelConfig } from "./families/model-config.ts";
export type { LoraSettings } from "./local/files/adapter.ts";
export { HiddenHead } from "./local/head.ts";
export { LocalModel, type LocalModelOptions, type NewAdapterOptions } from "./local/local-model.ts";
export { LocalTrainingClient } from "./local/training-client.ts";

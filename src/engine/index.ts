/** @file `klamp/engine`: models that train and sample, behind one contract. */

export { backward } from "../model/backward.ts";
export type * from "../model/contract.ts";
export type { LoraOptions, LoraSettings, Projection } from "../model/lora.ts";
export type { ModelConfig } from "./families/model-config.ts";
export type { LocalModelOptions } from "./local/base-model.ts";
export type { LocalClient } from "./local/client.ts";
export { LocalModel } from "./local/local-model.ts";
export type { LocalTrainingClient } from "./local/training-client.ts";
export { type EngineSettings, openEngine } from "./open.ts";

import type { DownloadOptions } from "../hub/snapshot.ts";
import type { Engine, ModelFacts } from "../model/contract.ts";
import type { LocalModelOptions } from "./local/base-model.ts";
import type { MergeOptions } from "./local/files/merge.ts";
import type { TinkerEngineOptions } from "./tinker/engine.ts";

/** Where a model runs: in this process, or on a server that speaks the Tinker API. */
export type EngineSettings =
  | ({
      readonly type: "local";
      /** A Hugging Face model folder, or a name on the hub: `ORG/NAME`, `ORG/NAME@REVISION`. */
      readonly model: string;
    } & LocalModelOptions &
      DownloadOptions)
  | ({ readonly type: "tinker" } & TinkerEngineOptions);

/**
 * Opens a base model to train and sample. Only the engine that is asked for is loaded.
 *
 * @throws UserError for a model that cannot be opened, a server that cannot be reached or does not serve it, and for a local
 * model when the optional package onnxruntime-node is not installed.
 * @example const engine = await openEngine({ type: "local", model: "./models/small-world" });
 */
export async function openEngine(settings: EngineSettings): Promise<Engine> {
  if (settings.type === "local") {
    const { LocalModel } = await import("./local/local-model.ts");
    // Whoever says what the folder is a snapshot of has found it.
    if (settings.hub) return LocalModel.open(settings.model, settings);
    const { locateModel } = await import("../hub/locate.ts");
    const { folder, hub } = await locateModel(settings.model, { ...settings, beside: process.cwd() });
    return LocalModel.open(folder, { ...settings, hub });
  }
  const { openTinkerEngine } = await import("./tinker/engine.ts");
  return openTinkerEngine(settings);
}

/** What the configuration of a model folder says, without its weights. @throws UserError for a model that is not supported. */
export async function readModelFacts(folder: string): Promise<ModelFacts> {
  const { readModelConfig } = await import("./local/files/model-config.ts");
  const { vocabSize, maxPositions } = await readModelConfig(folder);
  return { name: folder, vocabSize, maxPositions };
}

/**
 * Writes the model of a local folder with an adapter merged into its weights, as a model folder of the same files.
 *
 * @throws UserError when the output exists, or model and adapter do not fit.
 */
export async function mergeAdapter(
  model: string,
  adapter: string,
  output: string,
  options: MergeOptions = {},
): Promise<void> {
  const merge = await import("./local/files/merge.ts");
  await merge.mergeAdapter(model, adapter, output, options);
}

import type { Engine } from "../model/contract.ts";

/** Where a model runs: in this process, or on a server that speaks the Tinker API. */
export type EngineSettings =
  | {
      readonly type: "local";
      /** A Hugging Face model folder. */
      readonly model: string;
      /** Threads of one operator. Default `"auto"`: one per core. */
      readonly threads?: number | "auto" | undefined;
    }
  | {
      readonly type: "tinker";
      /** Where the server is, without `/api/v1`: `http://127.0.0.1:8471`. */
      readonly base_url: string;
      /** A name that the server knows. */
      readonly base_model: string;
      /** Default: none. A server of klamp's own needs none unless it was started with one. */
      readonly api_key?: string | undefined;
      /** Ends every request under way, and every wait. */
      readonly signal?: AbortSignal | undefined;
    };

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
    return LocalModel.open(settings.model, { threads: settings.threads });
  }
  const { openTinkerEngine } = await import("./tinker/engine.ts");
  return openTinkerEngine(settings);
}

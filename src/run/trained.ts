import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "../common/errors.ts";
import { readJsonFile } from "../common/text-file.ts";
import { loadConfig } from "../config/file.ts";
import { type LocateOptions, locateAdapter, locateModel } from "../hub/locate.ts";

/** The folders of a trained adapter and of the model that it belongs to. */
export interface Trained {
  readonly adapter: string;
  readonly model: string;
}

/**
 * Finds adapter and model of a run folder, of a PEFT adapter folder, or of an adapter on the hub; downloads what is missing.
 *
 * @param path a run folder, which tells its model, or an adapter: a folder or a hub name.
 * @param model in place of the model that the run or the adapter names: a folder or a hub name.
 * @throws UserError for what is neither, and for an adapter that names no model which is found.
 */
export async function findTrained(path: string, model?: string, options: LocateOptions = {}): Promise<Trained> {
  const run = resolve(path, "config.yaml");
  if (existsSync(run) && existsSync(resolve(path, "adapter"))) {
    const base = await locateModel(model ?? loadConfig(run).model, options);
    return { adapter: resolve(path, "adapter"), model: base.folder };
  }
  const { folder: adapter } = await locateAdapter(path, options);
  const named = model ?? baseNamedIn(join(adapter, "adapter_config.json"), path);
  return { adapter, model: (await locateModel(named, options)).folder };
}

function baseNamedIn(file: string, path: string): string {
  let config: Readonly<Record<string, unknown>>;
  try {
    config = { ...(readJsonFile(file) as object) };
  } catch {
    throw new UserError(
      `${path} is neither a run folder, with config.yaml and adapter/, nor an adapter, with adapter_config.json: give one of them.`,
    );
  }
  const { base_model_name_or_path: name, revision } = config;
  if (typeof name === "string" && name !== "") return typeof revision === "string" ? `${name}@${revision}` : name;
  throw new UserError(`${path} is an adapter that names no base model: give the model with --model.`);
}

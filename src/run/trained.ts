import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "../common/errors.ts";
import { readJsonFile } from "../common/text-file.ts";
import { loadConfig } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import { checkAdapterBase } from "../hub/adapter-base.ts";
import { type Located, type LocateOptions, locateAdapter, locateModel } from "../hub/locate.ts";

/** The folder of a trained adapter, and where the model lies that it belongs to. */
export interface Trained {
  readonly adapter: string;
  readonly model: Located;
  /** Of a run. */
  readonly config?: Config;
}

/**
 * Finds adapter and model of a run folder, of a PEFT adapter folder, or of an adapter on the hub; downloads what is missing.
 *
 * @param path a run folder, which tells its model, or an adapter: a folder or a hub name.
 * @param model in place of the model that the run or the adapter names: a folder or a hub name.
 * @throws UserError for what is neither, for an adapter that names no model which is found, and for one that was made for
 * another model.
 */
export async function findTrained(path: string, model?: string, options: LocateOptions = {}): Promise<Trained> {
  const run = resolve(path, "config.yaml");
  if (existsSync(run) && existsSync(resolve(path, "adapter"))) {
    const config = loadConfig(run);
    const folder = resolve(path, "adapter");
    return { ...(await belonging({ folder }, model ?? config.model, options)), config };
  }
  const adapter = await locateAdapter(path, options);
  return belonging(adapter, model ?? baseNamedIn(join(adapter.folder, "adapter_config.json"), path), options);
}

async function belonging(adapter: Located, named: string, options: LocateOptions): Promise<Trained> {
  const model = await locateModel(named, options);
  await checkAdapterBase(adapter, model);
  return { adapter: adapter.folder, model };
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

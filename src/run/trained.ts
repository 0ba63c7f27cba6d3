import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import { loadConfig } from "../config/file.ts";

/** A trained adapter and the model that it belongs to. */
export interface Trained {
  readonly adapter: string;
  readonly model: string;
}

/**
 * Finds adapter and model of a run folder, or of an adapter folder.
 *
 * @param path a run folder, which tells its model, or a PEFT adapter folder.
 * @param model in place of the model that the folder names.
 * @throws UserError for a folder that is neither, and for an adapter folder that names no model which is there.
 */
export function findTrained(path: string, model?: string): Trained {
  if (existsSync(join(path, "adapter_config.json"))) {
    const named = model ?? baseNamedIn(join(path, "adapter_config.json"));
    if (named !== undefined && existsSync(named)) return { adapter: path, model: named };
    throw new UserError(
      `${path} is an adapter${named === undefined ? " that names no base model" : ` of the model ${named}, which does not exist`}: give the model's folder with --model.`,
    );
  }
  const adapter = join(path, "adapter");
  if (!existsSync(join(adapter, "adapter_config.json"))) {
    throw new UserError(
      `${path} holds neither adapter_config.json nor adapter/adapter_config.json: give a run folder or a PEFT adapter folder.`,
    );
  }
  return { adapter, model: model ?? loadConfig(join(path, "config.yaml")).model };
}

function baseNamedIn(path: string): string | undefined {
  try {
    const { base_model_name_or_path: name } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    throw new UserError(`${path} is not JSON; an adapter is a PEFT folder with adapter_config.json.`);
  }
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../../common/errors.ts";
import { parseModelConfig } from "../../families/index.ts";
import type { ModelConfig } from "../../families/model-config.ts";

/**
 * Reads and checks `config.json` of a model folder.
 *
 * @throws UserError for a missing or malformed file, an unsupported architecture or an unsupported variant of it.
 */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const path = join(folder, "config.json");
  let values: Record<string, unknown>;
  try {
    values = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? `is not JSON (${error.message})` : "cannot be read";
    throw new UserError(
      `${path} ${why}; a model is a Hugging Face folder with config.json, model.safetensors and tokenizer.json.`,
    );
  }
  if (typeof values !== "object" || values === null) throw new UserError(`${path} does not hold a JSON object.`);
  return parseModelConfig(values, path);
}

import { join } from "node:path";
import { UserError } from "../../../common/errors.ts";
import { memoryLimit } from "../../../common/memory.ts";
import { readJsonFile } from "../../../common/text-file.ts";
import { parseModelConfig } from "../../families/index.ts";
import { countWeights, type ModelConfig } from "../../families/model-config.ts";

/**
 * Reads and checks `config.json` of a model folder.
 *
 * @throws UserError for a missing or malformed file, an unsupported architecture or an unsupported variant of it, and for a
 * model whose weights this machine's memory cannot hold.
 */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const path = join(folder, "config.json");
  let values: unknown;
  try {
    values = readJsonFile(path);
  } catch (cause) {
    throw new UserError(
      `${(cause as Error).message}; a model is a Hugging Face folder with config.json, model.safetensors and tokenizer.json.`,
      { cause },
    );
  }
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new UserError(`${path} does not hold a JSON object.`);
  }
  const config = parseModelConfig(values as Record<string, unknown>, path);
  refuseTooLarge(config, path);
  return config;
}

function refuseTooLarge(config: ModelConfig, path: string): void {
  const [weights, memory] = [countWeights(config), memoryLimit()];
  if (4 * weights <= memory) return;
  const { layers, hiddenSize, intermediateSize, vocabSize } = config;
  const gigabytes = (bytes: number) => `${Number((bytes / 1e9).toPrecision(3))} GB`;
  throw new UserError(
    `${path} asks for ${layers} layers (num_hidden_layers) of hidden_size ${hiddenSize}, intermediate_size ${intermediateSize} and vocab_size ${vocabSize}: ${gigabytes(4 * weights)} of weights, and this machine has ${gigabytes(memory)} of memory; choose a smaller model.`,
  );
}

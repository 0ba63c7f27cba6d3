import { UserError } from "../../common/errors.ts";
import type { Family } from "./family.ts";
import { gemma3 } from "./gemma3.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import type { ModelConfig } from "./model-config.ts";
import { qwen2, qwen3 } from "./qwen.ts";
import { RawConfig } from "./raw-config.ts";
import { checkRope } from "./rotary.ts";
import { smolLM3 } from "./smollm3.ts";
import { waysOf } from "./ways.ts";

/** All model families that klamp computes. */
const FAMILIES: readonly Family[] = [llama, mistral, qwen2, qwen3, smolLM3, gemma3];

/** The family of a model. */
export function familyOf({ architecture }: Pick<ModelConfig, "architecture">): Family {
  const family = FAMILIES.find(({ architectures }) => architectures.includes(architecture));
  if (!family) throw new Error(`no family has the architecture ${architecture}`);
  return family;
}

/**
 * Checks the parsed `config.json` of a model folder.
 *
 * @param path names the file in messages.
 * @throws UserError for an unsupported architecture, an unsupported variant of it, or sizes that make no decoder.
 */
export function parseModelConfig(values: Readonly<Record<string, unknown>>, path: string): ModelConfig {
  const raw = new RawConfig(values, path);
  const known = FAMILIES.flatMap(({ architectures }) => architectures);
  if (!known.includes(raw.architecture)) {
    throw new UserError(
      `${path} names the architecture ${raw.architecture}; klamp's local engine supports ${known.join(", ")}.`,
    );
  }
  if (raw.part("quantization_config")) {
    const { quant_method } = raw.part("quantization_config")!.values;
    raw.refuse(`weights quantized with ${String(quant_method ?? "an unnamed method")}`);
  }
  const config = familyOf(raw).config(raw);
  for (const { rope } of waysOf(config)) if (rope) checkRope(raw, config, rope);
  return config;
}

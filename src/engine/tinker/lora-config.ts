import { UserError } from "../../common/errors.ts";
import { ATTENTION_PROJECTIONS, type LoraOptions, MLP_PROJECTIONS, TINKER_LORA_DEFAULTS } from "../../model/lora.ts";
import type { RemoteModelOptions } from "./service-client.ts";

/**
 * LoRA's settings as the wire has them: a rank, and which blocks are trained. Tinker's defaults hold for what is not given.
 *
 * @throws UserError for what the wire does not carry.
 */
export function toLoraConfig(options: LoraOptions): Omit<RemoteModelOptions, "base_model"> {
  const { rank, seed, alpha, use_rslora, target_modules, ...patterns } = options;
  const other = Object.entries(patterns).find(([, value]) => value !== undefined && value !== 0);
  if (other) throw new UserError(`LoRA's ${other[0]} is set, which a Tinker server cannot be told: leave it out.`);
  if (alpha !== undefined && alpha !== TINKER_LORA_DEFAULTS.alpha) {
    throw new UserError(
      `LoRA's alpha is ${alpha}, and a Tinker server uses its own, ${TINKER_LORA_DEFAULTS.alpha}: leave alpha out.`,
    );
  }
  if (use_rslora) throw new UserError("use_rslora is true, and a Tinker server scales by alpha / rank: leave it out.");
  if (target_modules === undefined) return { rank, seed };
  if (target_modules === "all-linear") return { rank, seed, train_unembed: false };
  const [train_attn, train_mlp] = [ATTENTION_PROJECTIONS, MLP_PROJECTIONS].map((block) => {
    const chosen = block.filter((name) => target_modules.includes(name));
    if (chosen.length === 0 || chosen.length === block.length) return chosen.length > 0;
    throw new UserError(
      `LoRA's target_modules are ${String(target_modules)}, and a Tinker server trains all or none of ${block.join(", ")}.`,
    );
  });
  return { rank, seed, train_attn, train_mlp, train_unembed: false };
}

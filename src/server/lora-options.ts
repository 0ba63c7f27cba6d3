import { UserError } from "../common/errors.ts";
import { ATTENTION_PROJECTIONS, type LoraOptions, MLP_PROJECTIONS } from "../model/lora.ts";

/** LoRA's settings on the wire, as far as they count here. */
interface LoraConfig {
  readonly rank: number;
  readonly seed?: number | null | undefined;
  readonly train_attn: boolean;
  readonly train_mlp: boolean;
}

/**
 * LoRA's settings of a fresh adapter, from those of the wire.
 *
 * @throws UserError when nothing would be trained.
 */
export function toLoraOptions(
  { rank, seed, train_attn, train_mlp }: LoraConfig,
  alpha: number,
): LoraOptions & { readonly rank: number } {
  const target_modules = [...(train_attn ? ATTENTION_PROJECTIONS : []), ...(train_mlp ? MLP_PROJECTIONS : [])];
  if (target_modules.length === 0) {
    throw new UserError("train_attn and train_mlp are both off, which leaves nothing to train: turn one on");
  }
  return { rank, alpha, target_modules, seed: seed ?? undefined };
}

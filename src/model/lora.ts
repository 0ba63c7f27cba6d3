import { UserError } from "../common/errors.ts";

/** The seven linear maps of a decoder layer, by their names in the checkpoint, each with the block that it is in. */
const BLOCKS = {
  q_proj: "self_attn",
  k_proj: "self_attn",
  v_proj: "self_attn",
  o_proj: "self_attn",
  gate_proj: "mlp",
  up_proj: "mlp",
  down_proj: "mlp",
} as const;

/** The name of one. */
export type Projection = keyof typeof BLOCKS;

/** All of them, in the decoder's order: what PEFT calls "all-linear" on these models. */
export const PROJECTIONS = Object.keys(BLOCKS) as readonly Projection[];

/** Those of attention alone, and of the MLP alone. */
export const ATTENTION_PROJECTIONS = PROJECTIONS.filter((name) => BLOCKS[name] === "self_attn");
export const MLP_PROJECTIONS = PROJECTIONS.filter((name) => BLOCKS[name] === "mlp");

/** The name of a layer's projection in the checkpoint, without `.weight`. */
export function projectionName(layer: number, projection: Projection): string {
  return `model.layers.${layer}.${BLOCKS[projection]}.${projection}`;
}

/** LoRA's settings in force, named as in PEFT but for `rank` (r) and `alpha` (lora_alpha). */
export interface LoraSettings {
  readonly rank: number;
  /** The update B·A is scaled by alpha / rank. */
  readonly alpha: number;
  readonly target_modules: readonly Projection[];
  /** The factor is alpha / √rank instead (Kalajdzievski 2023, arXiv 2312.03732). */
  readonly use_rslora: boolean;
}

/** LoRA's settings of a fresh adapter, as far as they are not the defaults. */
export interface LoraOptions {
  /** Default 8. */
  readonly rank?: number | undefined;
  /** Default 2 · rank. */
  readonly alpha?: number | undefined;
  /** Default `"all-linear"`: the seven projections of every layer. */
  readonly target_modules?: "all-linear" | readonly Projection[] | undefined;
  /** Default false. */
  readonly use_rslora?: boolean | undefined;
  /** Of the random start of A. Default 1. */
  readonly seed?: number | undefined;
}

/** Defaults of a fresh adapter, in configurations and in code; alpha is 2 · rank. */
export const LORA_DEFAULTS = { rank: 8, target_modules: "all-linear", use_rslora: false, seed: 1 } as const;

/** Tinker's own defaults, which hold where the wire says nothing: it carries no alpha. */
export const TINKER_LORA_DEFAULTS = {
  rank: 32,
  alpha: 32,
  train_mlp: true,
  train_attn: true,
  train_unembed: true,
} as const;

/**
 * The settings in force: what is given, and defaults for the rest.
 *
 * @throws UserError for a rank that is not a whole number above 0, an alpha that is not above 0, or unknown modules.
 */
export function loraSettings({
  rank = LORA_DEFAULTS.rank,
  alpha = 2 * rank,
  target_modules = LORA_DEFAULTS.target_modules,
  use_rslora = LORA_DEFAULTS.use_rslora,
}: LoraOptions = {}): LoraSettings {
  if (!(Number.isInteger(rank) && rank >= 1)) {
    throw new UserError(`LoRA's rank is ${rank}, expected a whole number of at least 1.`);
  }
  if (!(alpha > 0 && alpha < Number.POSITIVE_INFINITY)) {
    throw new UserError(`LoRA's alpha is ${alpha}, expected a finite number above 0.`);
  }
  const modules = target_modules === "all-linear" ? PROJECTIONS : target_modules;
  if (modules.length === 0 || modules.some((name) => !PROJECTIONS.includes(name))) {
    throw new UserError(
      `LoRA's target_modules are ${JSON.stringify(target_modules)}, expected "all-linear" or some of ${PROJECTIONS.join(", ")}.`,
    );
  }
  return { rank, alpha, target_modules: modules, use_rslora };
}

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

/** LoRA's settings in force, named as in PEFT but for `rank` (r), `alpha` (lora_alpha) and `dropout` (lora_dropout). */
export interface LoraSettings extends LoraPatterns {
  readonly rank: number;
  /** The update B·A is scaled by alpha / rank. */
  readonly alpha: number;
  /**
   * Which linear maps have an update: their full names (`model.layers.0.self_attn.q_proj`), or ends of them after a dot
   * (`q_proj`); or one regular expression for the full name.
   */
  readonly target_modules: string | readonly string[];
  /** The factor is alpha / √rank instead (Kalajdzievski 2023, arXiv 2312.03732). */
  readonly use_rslora: boolean;
}

/** What LoRA's settings may say of some linear maps alone, and of training. All by PEFT's rules. */
export interface LoraPatterns {
  /** Other ranks, by a full name, an end of it, or a regular expression for one. */
  readonly rank_pattern?: Readonly<Record<string, number>> | undefined;
  /** Other alphas, likewise. */
  readonly alpha_pattern?: Readonly<Record<string, number>> | undefined;
  /** The layers that have updates, counted from 0. Default all. */
  readonly layers_to_transform?: readonly number[] | undefined;
  /** How the list of layers is called in the names of modules. Default: whatever stands before a number. */
  readonly layers_pattern?: readonly string[] | undefined;
  /** Linear maps that have none, whatever else is said. */
  readonly exclude_modules?: string | readonly string[] | undefined;
  /** The share of numbers that reach A as 0 in training, the rest grown by 1 / (1 − dropout). Default 0. */
  readonly dropout?: number | undefined;
}

/** LoRA's settings of a fresh adapter, as far as they are not the defaults. */
export interface LoraOptions extends LoraPatterns {
  /** Default 8. */
  readonly rank?: number | undefined;
  /** Default 2 · rank. */
  readonly alpha?: number | undefined;
  /** Default `"all-linear"`: the seven projections of every layer. */
  readonly target_modules?: string | readonly string[] | undefined;
  /** Default false. */
  readonly use_rslora?: boolean | undefined;
  /** Of the random start of A. Default 1. */
  readonly seed?: number | undefined;
}

/** A trained adapter to go on with; its own settings hold. */
export interface AdapterStart {
  /** A PEFT folder, or a server's path. */
  readonly adapter: string;
  /** Default: the adapter's. */
  readonly dropout?: number | undefined;
  /** Of dropout's masks. Default 1. */
  readonly seed?: number | undefined;
}

/** Defaults of a fresh adapter, in configurations and in code; alpha is 2 · rank. */
export const LORA_DEFAULTS = { rank: 8, target_modules: "all-linear", use_rslora: false, dropout: 0, seed: 1 } as const;

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
 * @throws UserError for a rank that is not a whole number above 0, an alpha that is not above 0, unknown modules, or a dropout of 1 and
 * more.
 */
export function loraSettings({
  rank = LORA_DEFAULTS.rank,
  alpha = 2 * rank,
  target_modules = LORA_DEFAULTS.target_modules,
  use_rslora = LORA_DEFAULTS.use_rslora,
  dropout = LORA_DEFAULTS.dropout,
  seed: _,
  ...patterns
}: LoraOptions = {}): LoraSettings {
  if (!(Number.isInteger(rank) && rank >= 1)) {
    throw new UserError(`LoRA's rank is ${rank}, expected a whole number of at least 1.`);
  }
  if (!(alpha > 0 && alpha < Number.POSITIVE_INFINITY)) {
    throw new UserError(`LoRA's alpha is ${alpha}, expected a finite number above 0.`);
  }
  const modules = target_modules === "all-linear" ? PROJECTIONS : target_modules;
  // A name with a dot is a full one, and a text a regular expression: which linear maps they match, the model knows.
  const unknown = (name: string) => !name.includes(".") && !PROJECTIONS.includes(name as Projection);
  if (modules.length === 0 || (typeof modules !== "string" && modules.some(unknown))) {
    throw new UserError(
      `LoRA's target_modules are ${JSON.stringify(target_modules)}, expected "all-linear" or some of ${PROJECTIONS.join(", ")}.`,
    );
  }
  if (!(dropout >= 0 && dropout < 1)) {
    throw new UserError(`LoRA's dropout is ${dropout}, expected a number from 0 to below 1.`);
  }
  for (const [module, value] of Object.entries(patterns.rank_pattern ?? {})) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new UserError(`LoRA's rank_pattern has ${value} for ${module}, expected a whole number of at least 1.`);
  }
  for (const [module, value] of Object.entries(patterns.alpha_pattern ?? {})) {
    if (value > 0 && value < Number.POSITIVE_INFINITY) continue;
    throw new UserError(`LoRA's alpha_pattern has ${value} for ${module}, expected a finite number above 0.`);
  }
  return { rank, alpha, target_modules: modules, use_rslora, dropout, ...patterns };
}

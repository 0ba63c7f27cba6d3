import { UserError } from "../../../common/errors.ts";
import { readJsonFile } from "../../../common/text-file.ts";
import { shortJson } from "../../../data/short-json.ts";
import { type LoraSettings, loraSettings, PROJECTIONS } from "../../../model/lora.ts";

/** @file PEFT's `adapter_config.json`: read strictly, since a setting that is passed over may mean another product. */

/** What leaves the product B·A and the base as they are, whatever it says: names, notes, and settings of training alone. */
const HARMLESS = [
  "auto_mapping",
  "base_model_name_or_path",
  "eva_config", // how a start was chosen that leaves the base as it is
  "inference_mode",
  "megatron_config",
  "megatron_core",
  "peft_type",
  "peft_version",
  "qalora_group_size", // counts with use_qalora, which is refused
  "revision",
  "runtime_config",
  "task_type",
];
/** Starts of A and B that leave the base as it is; once there are matrices, they mean nothing more. */
const STARTS: readonly unknown[] = [undefined, null, true, false, "gaussian", "eva", "orthogonal"];

/**
 * Reads LoRA's settings.
 *
 * @throws UserError for a file that is missing or no JSON, another kind of adapter, and every setting that would change the
 * base or the product in a way that klamp does not compute.
 */
export async function readLoraConfig(path: string): Promise<LoraSettings> {
  let raw: Record<string, unknown>;
  try {
    raw = { ...(readJsonFile(path) as object) };
  } catch (cause) {
    throw new UserError(
      `${(cause as Error).message}; an adapter is a PEFT folder with adapter_config.json and adapter_model.safetensors.`,
      { cause },
    );
  }
  const refuse = (what: string): never => {
    throw new UserError(`${path} ${what}; klamp loads LoRA adapters that leave the base as it is (peft_type LORA).`);
  };
  if (raw.peft_type !== "LORA") refuse(`has peft_type ${shortJson(raw.peft_type)}`);
  const {
    r = 8,
    lora_alpha = 8,
    lora_dropout,
    target_modules,
    exclude_modules,
    use_rslora,
    rank_pattern,
    alpha_pattern,
    layers_to_transform,
    layers_pattern,
    init_lora_weights,
    bias = "none",
    ...others
  } = raw;
  if (!STARTS.includes(init_lora_weights)) {
    refuse(`has init_lora_weights ${shortJson(init_lora_weights)}, a start that changes the base's own weights`);
  }
  if (bias !== "none") refuse(`has bias ${shortJson(bias)}`);
  for (const [key, value] of Object.entries(others)) {
    if (!HARMLESS.includes(key) && !isOff(value)) refuse(`sets ${key} to ${shortJson(value)}`);
  }
  const numbers = (value: unknown, key: string) => {
    if (isOff(value)) return undefined;
    const isObject = typeof value === "object" && !Array.isArray(value);
    if (!isObject || Object.values(value as object).some((each) => typeof each !== "number")) {
      return refuse(`has ${shortJson(value)} for ${key}, expected numbers by names of modules`);
    }
    return value as Record<string, number>;
  };
  const names = (value: unknown, key: string) => {
    if (typeof value === "string") return value;
    if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string")) return value;
    return refuse(`has ${key} ${shortJson(value)}, expected names of modules, or a regular expression for them`);
  };
  const layers = [layers_to_transform ?? []].flat();
  if (layers.some((layer) => !Number.isInteger(layer))) {
    refuse(`has layers_to_transform ${shortJson(layers_to_transform)}, expected numbers of layers`);
  }
  if (layers.length > 0 && typeof target_modules === "string" && target_modules !== "all-linear") {
    refuse("has layers_to_transform beside a regular expression, which PEFT refuses as well");
  }
  for (const [key, value] of Object.entries({ r, lora_alpha, lora_dropout: lora_dropout ?? 0 })) {
    if (typeof value !== "number") refuse(`has ${key} ${shortJson(value)}, expected a number`);
  }
  const settings = {
    rank: r as number,
    alpha: lora_alpha as number,
    target_modules: target_modules === "all-linear" ? PROJECTIONS : names(target_modules, "target_modules"),
    use_rslora: !isOff(use_rslora),
    dropout: (lora_dropout ?? 0) as number,
    ...optional("rank_pattern", numbers(rank_pattern, "rank_pattern")),
    ...optional("alpha_pattern", numbers(alpha_pattern, "alpha_pattern")),
    ...optional("layers_to_transform", layers.length > 0 ? (layers as number[]) : undefined),
    ...optional("layers_pattern", isOff(layers_pattern) ? undefined : ([layers_pattern].flat() as string[])),
    ...optional("exclude_modules", isOff(exclude_modules) ? undefined : names(exclude_modules, "exclude_modules")),
  };
  try {
    return loraSettings(settings);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return refuse(`is invalid: ${error.message.replace(/\.$/, "")}`);
  }
}

/** LoRA's settings as PEFT, vLLM and other tools read them. */
export function writeLoraConfig(
  settings: LoraSettings,
  base: { readonly name: string; readonly revision?: string | undefined },
): Readonly<Record<string, unknown>> {
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base.name,
    revision: base.revision ?? null,
    r: settings.rank,
    lora_alpha: settings.alpha,
    lora_dropout: settings.dropout ?? 0,
    target_modules: settings.target_modules,
    exclude_modules: settings.exclude_modules ?? null,
    rank_pattern: settings.rank_pattern ?? {},
    alpha_pattern: settings.alpha_pattern ?? {},
    layers_to_transform: settings.layers_to_transform ?? null,
    layers_pattern: settings.layers_pattern ?? null,
    use_rslora: settings.use_rslora,
    use_dora: false,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
  };
}

/** What Python takes for false, and an empty object: a setting that is not used. */
function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return !value;
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [key in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [key in Key]: Value });
}

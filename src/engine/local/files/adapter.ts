import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../../common/atomic-file.ts";
import { UserError } from "../../../common/errors.ts";
import { openSafetensors, writeSafetensors } from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import { type LoraSettings, PROJECTIONS } from "../../../model/lora.ts";
import { type Adapter, matrixShapes } from "../../families/adapter.ts";
import type { ModelConfig } from "../../families/model-config.ts";

const CONFIG_FILE = "adapter_config.json";
const WEIGHTS_FILE = "adapter_model.safetensors";

/**
 * Reads an adapter in PEFT's layout and checks it against the model.
 *
 * @throws UserError for missing files, a kind of adapter other than plain LoRA, or shapes of another model.
 */
export async function readAdapter(folder: string, config: ModelConfig): Promise<Adapter> {
  const settings = await readSettings(folder);
  const file = await openSafetensors(join(folder, WEIGHTS_FILE));
  try {
    const matrices = new Map<string, Tensor>();
    for (const [name, shape] of matrixShapes(config, settings)) {
      const found = file.shapes.get(name);
      if (found?.join() !== shape.join()) {
        const what = found ? `has shape [${found.join(", ")}]` : "is missing";
        throw new UserError(
          `${file.path}: ${name} ${what}, this model and rank ${settings.rank} need [${shape.join(", ")}]; was the adapter made for another model?`,
        );
      }
      matrices.set(name, await file.read(name));
    }
    const strange = [...file.shapes.keys()].find((name) => !matrices.has(name));
    if (strange)
      throw new UserError(
        `${file.path} holds ${strange}, which is not a LoRA matrix of this model; was the adapter made for another model?`,
      );
    return { ...settings, matrices };
  } finally {
    await file.close();
  }
}

/** Writes an adapter that PEFT, vLLM and other tools load as it is. */
export async function writeAdapter(folder: string, adapter: Adapter, baseModel: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, WEIGHTS_FILE), adapter.matrices);
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: baseModel,
    r: adapter.rank,
    lora_alpha: adapter.alpha,
    lora_dropout: 0,
    target_modules: adapter.target_modules,
    use_rslora: adapter.use_rslora,
    use_dora: false,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
  };
  writeFileAtomic(join(folder, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
}

async function readSettings(folder: string): Promise<LoraSettings> {
  const path = join(folder, CONFIG_FILE);
  let raw: Record<string, unknown>;
  try {
    raw = { ...JSON.parse(await readFile(path, "utf8")) };
  } catch {
    throw new UserError(
      `${path} is missing or not JSON; an adapter is a PEFT folder with ${CONFIG_FILE} and ${WEIGHTS_FILE}.`,
    );
  }
  const refuse = (what: string) => {
    throw new UserError(`${path} ${what}; klamp loads plain LoRA adapters (peft_type LORA, one rank, no bias).`);
  };
  if (raw.peft_type !== "LORA") refuse(`has peft_type ${JSON.stringify(raw.peft_type)}`);
  for (const key of [
    "use_dora",
    "use_qalora",
    "fan_in_fan_out",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
  ]) {
    if (raw[key]) refuse(`sets ${key}`);
  }
  for (const key of ["rank_pattern", "alpha_pattern"]) {
    if (Object.keys((raw[key] as object | null) ?? {}).length > 0) refuse(`sets ${key}`);
  }
  if (raw.bias !== undefined && raw.bias !== "none") refuse(`has bias ${JSON.stringify(raw.bias)}`);
  const { r, lora_alpha, target_modules } = raw;
  if (!Number.isInteger(r) || (r as number) < 1) refuse(`has r ${JSON.stringify(r)}`);
  if (typeof lora_alpha !== "number" || !(lora_alpha > 0)) refuse(`has lora_alpha ${JSON.stringify(lora_alpha)}`);
  const names = target_modules === "all-linear" ? PROJECTIONS : target_modules;
  if (!Array.isArray(names) || names.length === 0 || names.some((name) => !PROJECTIONS.includes(name))) {
    refuse(`has target_modules ${JSON.stringify(target_modules)}, expected some of ${PROJECTIONS.join(", ")}`);
  }
  return {
    rank: r as number,
    alpha: lora_alpha as number,
    target_modules: PROJECTIONS.filter((name) => (names as string[]).includes(name)),
    use_rslora: raw.use_rslora === true,
  };
}

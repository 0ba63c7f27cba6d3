/** @file A training client's state in a folder: the adapter in PEFT's layout, and beside it AdamW's moments. */

import { join } from "node:path";
import { UserError } from "../../../common/errors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { LoraSettings } from "../../../model/lora.ts";
import { sameSettings } from "../../families/adapter.ts";
import type { ModelConfig } from "../../families/model-config.ts";
import { type Parameter, stateOf } from "../optimizer.ts";
import { readAdapter } from "./adapter.ts";
import { readMoments, writeMoments } from "./moments.ts";

const OPTIMIZER_FILE = "optimizer.safetensors";

/** Writes what an adapter's folder lacks to be a state. */
export function writeState(folder: string, parameters: ReadonlyMap<string, Parameter>, steps: number): Promise<void> {
  return writeMoments(join(folder, OPTIMIZER_FILE), parameters, steps);
}

/**
 * Reads a state of these LoRA settings.
 *
 * @throws UserError for a folder that is damaged, or of other settings.
 */
export async function readState(
  folder: string,
  config: ModelConfig,
  here: LoraSettings,
  parameters: ReadonlyMap<string, Tensor>,
): Promise<ReadonlyMap<string, Tensor>> {
  const { matrices, ...saved } = await readAdapter(folder, config);
  if (!sameSettings(config, saved, here)) {
    throw new UserError(
      `${folder} was saved by training ${show(saved)}, here it is ${show(here)}; load it with the settings it was saved with.`,
    );
  }
  const { moments, steps } = await readMoments(join(folder, OPTIMIZER_FILE), parameters);
  return stateOf(matrices, moments, steps);
}

function show({ rank, alpha, target_modules, use_rslora, dropout: _, ...patterns }: LoraSettings): string {
  const modules = typeof target_modules === "string" ? target_modules : target_modules.join(", ");
  const more = Object.entries(patterns).map(([key, value]) => `, ${key} ${JSON.stringify(value)}`);
  return `rank ${rank}, alpha ${alpha}${use_rslora ? " (rslora)" : ""} on ${modules}${more.join("")}`;
}

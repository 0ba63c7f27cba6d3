import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../../common/atomic-file.ts";
import { UserError } from "../../../common/errors.ts";
import { openSafetensors, writeSafetensors } from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import { type Adapter, matrixShapes } from "../../families/adapter.ts";
import type { ModelConfig } from "../../families/model-config.ts";
import { readLoraConfig, writeLoraConfig } from "./lora-config.ts";

const CONFIG_FILE = "adapter_config.json";
const WEIGHTS_FILE = "adapter_model.safetensors";

/**
 * Reads an adapter in PEFT's layout and checks it against the model.
 *
 * @throws UserError for missing files, a kind of adapter other than plain LoRA, or shapes of another model.
 */
export async function readAdapter(folder: string, config: ModelConfig): Promise<Adapter> {
  const settings = await readLoraConfig(join(folder, CONFIG_FILE));
  const file = await openSafetensors(join(folder, WEIGHTS_FILE));
  try {
    const matrices = new Map<string, Tensor>();
    for (const [name, shape] of matrixShapes(config, settings)) {
      const found = file.shapes.get(name);
      if (found?.join() !== shape.join()) {
        const what = found ? `has shape [${found.join(", ")}]` : "is missing";
        throw new UserError(
          `${file.path}: ${name} ${what}, this model and the adapter's settings need [${shape.join(", ")}]; was the adapter made for another model?`,
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

/**
 * Writes an adapter that PEFT, vLLM and other tools load as it is.
 *
 * @param base what it was made for: a folder, or a name on the hub and a commit.
 */
export async function writeAdapter(
  folder: string,
  adapter: Adapter,
  base: { readonly name: string; readonly revision?: string | undefined },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, WEIGHTS_FILE), adapter.matrices);
  const config = writeLoraConfig(adapter, base);
  writeFileAtomic(join(folder, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
}

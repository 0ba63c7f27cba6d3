import { existsSync } from "node:fs";
import { cp, mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { writeFolderAtomic } from "../../../common/atomic-file.ts";
import { UserError } from "../../../common/errors.ts";
import {
  openSafetensors,
  type RawTensor,
  type SafetensorsFile,
  toBytes,
  writeRawSafetensors,
} from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { Adapter } from "../../families/adapter.ts";
import { type Lora, loraNames, toLora } from "../../families/lora.ts";
import { readAdapter } from "./adapter.ts";
import { readModelConfig } from "./model-config.ts";
import { shardPaths } from "./model-weights.ts";

/** Files of weights; a merged model has its own. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|gguf|onnx|h5|msgpack)$/;

export interface MergeOptions {
  /** Called after each file of weights. */
  readonly onShard?: (done: number, of: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a model folder whose weights are W + scale·B·A: the same files, shards and number types as the base's, with its
 * tokenizer and configuration. The folder appears whole or not at all.
 *
 * @throws UserError when the output exists, or model and adapter do not fit.
 */
export async function mergeAdapter(
  model: string,
  adapter: string,
  output: string,
  { onShard, signal }: MergeOptions = {},
): Promise<void> {
  if (existsSync(output)) {
    throw new UserError(
      `${output} exists already, and klamp writes over nothing: choose another folder, or move it away.`,
    );
  }
  const config = await readModelConfig(model);
  const read = await readAdapter(adapter, config);
  const lora = toLora(config, read);
  const shards = await shardPaths(model);
  await mkdir(dirname(output), { recursive: true });
  await writeFolderAtomic(output, async (folder) => {
    const left = new Set(lora.keys());
    for (const [i, path] of shards.entries()) {
      signal?.throwIfAborted();
      const file = await openSafetensors(path);
      try {
        const tensors = new Map<string, RawTensor>();
        for (const name of file.shapes.keys()) tensors.set(name, await merged(file, name, read, lora));
        await writeRawSafetensors(join(folder, basename(path)), tensors, file.metadata);
        for (const name of tensors.keys()) left.delete(moduleOf(name));
      } finally {
        await file.close();
      }
      onShard?.(i + 1, shards.length);
    }
    const [missing] = left;
    if (missing)
      throw new UserError(`${model} holds no weight ${missing}.weight, which the adapter in ${adapter} changes.`);
    for (const entry of await readdir(model, { withFileTypes: true })) {
      if (entry.isDirectory() || WEIGHTS.test(entry.name)) continue;
      await cp(join(model, entry.name), join(folder, entry.name), { dereference: true });
    }
  });
}

const moduleOf = (name: string) => name.replace(/\.weight$/, "");

/** A tensor as it is stored, or with the adapter's product added to it. */
async function merged(file: SafetensorsFile, name: string, { matrices }: Adapter, lora: Lora): Promise<RawTensor> {
  const raw = await file.readRaw(name);
  const settings = lora.get(moduleOf(name));
  if (!settings || !name.endsWith(".weight")) return raw;
  const names = loraNames(moduleOf(name));
  const { data, shape } = await file.read(name);
  addProduct({ data, shape }, matrices.get(names.b)!, matrices.get(names.a)!, settings.scale);
  return { ...raw, bytes: toBytes(data, raw.dtype) };
}

/** W [out, in] + scale · B [out, r] · A [r, in], each product and sum in float64, rounded once. */
function addProduct({ data, shape }: Tensor, b: Tensor, a: Tensor, scale: number): void {
  const [rows, width] = shape as [number, number];
  const rank = a.shape[0]!;
  const sum = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    sum.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * b.data[row * rank + k]!;
      for (let i = 0; i < width; i++) sum[i]! += factor * a.data[k * width + i]!;
    }
    for (let i = 0; i < width; i++) data[row * width + i]! += sum[i]!;
  }
}

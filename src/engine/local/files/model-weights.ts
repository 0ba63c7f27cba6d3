import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../../common/errors.ts";
import { readJsonFile } from "../../../common/text-file.ts";
import { openSafetensors, type SafetensorsFile } from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { ModelConfig } from "../../families/model-config.ts";
import { EMBEDDINGS, HEAD, weightShapes } from "../../families/weights.ts";

/** A model as a folder holds it. */
export interface ModelFolder {
  /** As config.json says, but for the head, which is `tied` only where it is none of its own. */
  readonly config: ModelConfig;
  /** By their names in the checkpoint. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** What the folder holds that a reader of config.json would not expect, a sentence each. */
  readonly notices: readonly string[];
}

/** Tensors that old checkpoints hold and that follow from config.json. */
const BUFFERS = /\.rotary_emb\.inv_freq$|\.attn\.(bias|masked_bias)$/;

/**
 * Reads the weights of a Hugging Face folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 * As transformers does, it unties a head whose numbers are not those of the embeddings, and leaves out tensors that the
 * family has no place for; both are told.
 *
 * @throws UserError for a missing or truncated file, a missing weight, or one whose shape is not what config.json says.
 */
export async function readModelWeights(folder: string, written: ModelConfig): Promise<ModelFolder> {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of await shardPaths(folder)) files.push(await openSafetensors(path));
    refuseDoubled(files);
    const fileOf = (name: string) => files.find((each) => each.shapes.has(name));
    const weights = new Map<string, Tensor>();
    for (const [name, shape] of weightShapes(written)) {
      const file = fileOf(name);
      if (!file) throw new UserError(`${folder} holds no weight ${name}, which its config.json calls for.`);
      weights.set(name, await readWeight(file, name, shape));
    }
    const notices: string[] = [];
    let config = written;
    const embeddings = weights.get(EMBEDDINGS)!;
    const ownHead = written.tied && fileOf(HEAD);
    if (ownHead) {
      const head = await readWeight(ownHead, HEAD, embeddings.shape);
      if (head.data.some((x, i) => x !== embeddings.data[i])) {
        config = { ...written, tied: false };
        weights.set(HEAD, head);
        notices.push(
          `${folder} has a ${HEAD} of its own, though its config.json says tie_word_embeddings: it is used, as transformers does`,
        );
      }
    }
    const held = files.flatMap(({ shapes }) => [...shapes.keys()]);
    const unused = held.filter((name) => !weights.has(name) && name !== HEAD && !BUFFERS.test(name));
    if (unused.length > 0) {
      const more = unused.length > 5 ? ` and ${unused.length - 5} more` : "";
      notices.push(
        `${folder} holds ${unused.slice(0, 5).join(", ")}${more}, which ${config.architecture} has no place for: left out, as transformers does`,
      );
    }
    return { config, weights, notices };
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function readWeight(file: SafetensorsFile, name: string, shape: readonly number[]): Promise<Tensor> {
  const found = file.shapes.get(name)!;
  if (found.join() !== shape.join()) {
    throw new UserError(
      `${file.path} holds ${name} with shape [${found.join(", ")}], its config.json calls for [${shape.join(", ")}].`,
    );
  }
  return file.read(name);
}

/** Whether it names a file of the same folder. */
function isFileName(value: unknown): value is string {
  return typeof value === "string" && /^[^/\\]+\.safetensors$/.test(value);
}

/** @throws UserError for a tensor that two files hold: only one can count. */
function refuseDoubled(files: readonly SafetensorsFile[]): void {
  const owners = new Map<string, string>();
  for (const { path, shapes } of files) {
    for (const name of shapes.keys()) {
      const owner = owners.get(name);
      if (owner !== undefined) throw new UserError(`${owner} and ${path} both hold ${name}: take one of them out.`);
      owners.set(name, path);
    }
  }
}

/** The files that hold a model's weights. */
export async function shardPaths(folder: string): Promise<string[]> {
  const single = join(folder, "model.safetensors");
  const index = join(folder, "model.safetensors.index.json");
  if (existsSync(single) || !existsSync(index)) return [single];
  const content = readJsonFile(index) as { readonly weight_map?: unknown } | null;
  const shards = [...new Set(Object.values({ ...(content?.weight_map as object) }))];
  if (shards.length > 0 && shards.every(isFileName)) return shards.map((file) => join(folder, file));
  throw new UserError(
    `${index} is not an index of shards, JSON with a weight_map from tensors to names of files beside it; download it again.`,
  );
}

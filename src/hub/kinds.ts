import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import { readJsonFile } from "../common/text-file.ts";

/** What a repository is to be: which of its files are needed, and what it is called in messages. */
export interface RepoKind {
  readonly noun: string;
  /** A folder without them is none of this kind. */
  readonly required: readonly string[];
  /** Read where they are there. */
  readonly optional: readonly string[];
  /** Kept beside, for other tools; klamp does not miss them. */
  readonly extra: readonly string[];
  /** Of which one is needed: the weights. An index names others. */
  readonly weights: readonly string[];
}

/** The suffix of a file that names the shards of weights. */
const INDEX = ".safetensors.index.json";

export const MODEL: RepoKind = {
  noun: "model",
  required: ["config.json", "tokenizer.json"],
  optional: [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
  ],
  extra: ["chat_template.json", "tokenizer.model", "vocab.json", "merges.txt"],
  weights: ["model.safetensors", `model${INDEX}`],
};

export const ADAPTER: RepoKind = {
  noun: "adapter",
  required: ["adapter_config.json"],
  optional: [],
  extra: [],
  weights: ["adapter_model.safetensors"],
};

/**
 * The files of this kind among `files` but the shards, which `shardsOf` reads from an index.
 *
 * @throws UserError that names what is missing, and what there is instead.
 */
export function chooseFiles(kind: RepoKind, files: ReadonlySet<string>, where: string): readonly string[] {
  const there = (names: readonly string[]) => names.filter((name) => files.has(name));
  const [weights] = there(kind.weights);
  const missing = kind.required.find((name) => !files.has(name)) ?? (weights ? undefined : kind.weights[0]);
  if (missing !== undefined) {
    throw new UserError(`${where} holds no ${missing}, which a ${kind.noun} needs: ${instead(kind, files, missing)}`);
  }
  return [...there(kind.required), ...there(kind.optional), ...there(kind.extra), weights!];
}

/** Whether a file names the shards of weights. */
export function isIndex(file: string): boolean {
  return file.endsWith(INDEX);
}

/** The shards that an index names. @throws UserError for a file that is no index. */
export function shardsOf(folder: string, file: string): readonly string[] {
  try {
    const { weight_map } = readJsonFile(join(folder, file)) as {
      weight_map: Record<string, string>;
    };
    return [...new Set(Object.values(weight_map))];
  } catch (cause) {
    throw new UserError(
      `${join(folder, file)} is not an index of shards, JSON with a weight_map: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** What the repository seems to be, and so what to do. */
function instead(kind: RepoKind, files: ReadonlySet<string>, missing: string): string {
  if (kind === MODEL && files.has("adapter_config.json"))
    return "it is an adapter; give its base as `model` and it as `train.adapter`";
  if (kind === ADAPTER && files.has("config.json")) return "it is a whole model; give the name of an adapter";
  const other = [...files].find((name) => /\.(safetensors|bin|pt|pth|gguf|h5|msgpack|onnx)$/.test(name));
  if (other === undefined || !kind.weights.includes(missing)) return "choose another repository";
  return `klamp reads safetensors in the layout of transformers, and it has ${other}; look for a conversion of it`;
}

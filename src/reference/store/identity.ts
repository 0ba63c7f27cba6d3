import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { UserError } from "../../common/errors.ts";
import { readTextFile } from "../../common/text-file.ts";
import type { RowFormat } from "./record.ts";

/** What is kept at each position: the k most probable tokens and the rest, or the model's final hidden state. */
export type StoreKind = "top-k" | "hidden";

/** Whose distributions a store holds, of which kind: its `store.json`. A store fits when all of it agrees. */
export interface StoreIdentity {
  readonly kind: StoreKind;
  /** Tokens kept at each position; null for hidden states, from which the whole vocabulary is computed. */
  readonly k: number | null;
  /** V. */
  readonly vocabulary: number;
  /** d, numbers in a hidden state; null for top-k. */
  readonly hidden_size: number | null;
  readonly temperature: number;
  /** `sha256:…` of the model's configuration and weights. */
  readonly model: string;
  /** `none` for the model alone, or `sha256:…` of the adapter. */
  readonly adapter: string;
  /** `sha256:…` of tokenizer.json. */
  readonly tokenizer: string;
}

/** Incremented whenever the format changes. */
const FORMAT = "klamp reference store 1";
export const IDENTITY_FILE = "store.json";
const MOST_BYTES = 1 << 20;

/** Differences are listed in this order. */
const NAMES: Readonly<Record<keyof StoreIdentity, string>> = {
  model: "model",
  adapter: "adapter",
  tokenizer: "tokenizer",
  vocabulary: "vocabulary",
  kind: "kind",
  k: "k",
  hidden_size: "hidden size",
  temperature: "temperature",
};

export function identityJson(identity: StoreIdentity): string {
  const content = { format: FORMAT, ...identity };
  return `${JSON.stringify({ ...content, checksum: crc32(JSON.stringify(content)) }, null, 2)}\n`;
}

/**
 * The identity in the `store.json` of this folder; null when there is no such folder, or an empty one.
 *
 * @throws UserError for a folder that is not a store, a damaged `store.json`, or one of another format.
 */
export function readIdentity(folder: string): StoreIdentity | null {
  const path = join(folder, IDENTITY_FILE);
  if (!existsSync(path)) {
    if (existsSync(folder) && !statSync(folder).isDirectory()) {
      throw new UserError(`${folder} is a file, and a reference store is a folder: choose another path`);
    }
    // A build that was killed at once may have left a temporary file.
    if (!existsSync(folder) || readdirSync(folder).every((name) => name.endsWith(".tmp"))) return null;
    throw new UserError(`${folder} is not a reference store, it has no ${IDENTITY_FILE}: choose another folder`);
  }
  const text = readTextFile(path, MOST_BYTES);
  let parsed: Readonly<Record<string, unknown>> = {};
  try {
    parsed = { ...(JSON.parse(text) as object) };
  } catch {
    // Refused below, as any other text with a wrong checksum.
  }
  const { format, checksum, ...identity } = parsed;
  if (typeof format === "string" && format !== FORMAT) {
    throw new UserError(`${path} has the format "${format}", this klamp reads "${FORMAT}": build the store again`);
  }
  if (identityJson(identity as unknown as StoreIdentity) !== text) {
    throw new UserError(
      `the reference store is damaged at ${path}: its checksum ${checksum} does not match its content; delete its folder and build it again with \`klamp reference build --config FILE\``,
    );
  }
  if (!isIdentity(identity)) {
    throw new UserError(`${path} describes no store of klamp's: build the store again`);
  }
  return identity;
}

/** Whether it is what a build writes: a checksum alone does not say so. */
function isIdentity(found: Readonly<Record<string, unknown>>): found is StoreIdentity & Record<string, unknown> {
  const count = (value: unknown, most: number) =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most;
  const { kind, k, vocabulary, hidden_size, temperature, model, adapter, tokenizer } = found;
  if (!count(vocabulary, 2 ** 31 - 1)) return false;
  const hasWidth =
    kind === "top-k"
      ? count(k, vocabulary as number) && hidden_size === null
      : kind === "hidden" && count(hidden_size, 2 ** 24) && k === null;
  return (
    hasWidth &&
    typeof temperature === "number" &&
    [model, adapter, tokenizer].every((digest) => typeof digest === "string")
  );
}

/** The format of such a store's records. */
export function rowFormat({ kind, k, hidden_size, vocabulary }: StoreIdentity): RowFormat {
  return { kind, width: (kind === "top-k" ? k : hidden_size)!, vocabulary };
}

/** @throws UserError that lists every difference between the store and what is needed, with both values. */
export function checkIdentity(folder: string, found: StoreIdentity, needed: StoreIdentity): void {
  const differing = (Object.keys(NAMES) as (keyof StoreIdentity)[]).filter((key) => found[key] !== needed[key]);
  if (differing.length === 0) return;
  const show = (value: string | number | null) => value ?? "none";
  const list = differing.map((key) => `its ${NAMES[key]} is ${show(found[key])}, expected ${show(needed[key])}`);
  throw new UserError(
    `the reference store ${folder} is of another reference: ${list.join("; ")}: choose another folder, or delete this one, and build it with \`klamp reference build --config FILE\``,
  );
}

import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { UserError } from "../common/errors.ts";
import { expandHome } from "../common/home.ts";
import { formatHubName, type HubName, MAIN, parseHubName } from "../common/hub-name.ts";
import { RepoCache } from "./cache.ts";
import { HubClient } from "./client.ts";
import { explain } from "./failure.ts";
import { ADAPTER, isIndex, MODEL, type RepoKind, shardsOf } from "./kinds.ts";
import { type HubSettings, hubSettings } from "./settings.ts";
import { type DownloadOptions, fetchSnapshot } from "./snapshot.ts";

/** Where the files of a model or an adapter lie. */
export interface Located {
  readonly folder: string;
  /** What the folder is a snapshot of; undefined for a folder of the user's. */
  readonly hub?: HubSnapshot | undefined;
}

/** A state of a repository on the hub. */
export interface HubSnapshot {
  readonly name: string;
  /** The commit. */
  readonly revision: string;
}

export interface LocateOptions extends DownloadOptions {
  /**
   * The folder from which relative paths count: what exists there is a folder. Default: none, for what a configuration says,
   * where folders have been found before.
   */
  readonly beside?: string | undefined;
}

/**
 * Finds the folder of a model: a path, or a hub name (`ORG/NAME`, `ORG/NAME@REVISION`), whose files are looked for in the
 * Hugging Face cache and downloaded into it where they are missing. What the cache has is not asked for again.
 *
 * @throws UserError for what is neither, and for whatever keeps it from being downloaded.
 * @example const { folder } = await locateModel("HuggingFaceTB/SmolLM2-135M-Instruct");
 */
export function locateModel(written: string, options: LocateOptions = {}): Promise<Located> {
  return locate(written, MODEL, options, (path) => {
    return `the model folder ${path} does not exist, nor is it a hub name (ORG/NAME or ORG/NAME@REVISION); give a Hugging Face folder with config.json, model.safetensors and tokenizer.json, or such a name.`;
  });
}

/** As `locateModel`, of an adapter in PEFT's layout. */
export function locateAdapter(written: string, options: LocateOptions = {}): Promise<Located> {
  return locate(written, ADAPTER, options, (path) => {
    return `train.adapter names the folder ${path}, which does not exist, nor is it a hub name (ORG/NAME or ORG/NAME@REVISION); give a PEFT adapter folder, such a name, or null for a fresh one.`;
  });
}

async function locate(
  written: string,
  kind: RepoKind,
  { beside, ...options }: LocateOptions,
  nothing: (path: string) => string,
): Promise<Located> {
  const asked = parseHubName(written);
  const path = expandHome(written);
  const folder = beside === undefined ? path : resolve(beside, path);
  if ((asked === null || beside !== undefined || isAbsolute(path)) && existsSync(folder)) return { folder };
  if (asked === null) throw new UserError(nothing(folder));
  return findSnapshot(asked, kind, hubSettings(), options);
}

async function findSnapshot(
  asked: HubName,
  kind: RepoKind,
  settings: HubSettings,
  options: DownloadOptions,
): Promise<Located> {
  const cache = new RepoCache(settings.cache, asked.name);
  const at = (commit: string) => ({ folder: cache.snapshot(commit), hub: { name: asked.name, revision: commit } });
  const cached = cache.commitOf(asked.revision);
  const isUsable = cached !== undefined && hasNeeded(cache, cached, kind);
  if (isUsable && kind.optional.every((name) => cache.has(cached, name) || cache.lacks(cached, name)))
    return at(cached);
  if (settings.offline) {
    if (isUsable) return at(cached);
    throw new UserError(notCached(asked, kind, settings));
  }
  try {
    const client = new HubClient(settings, options.signal);
    return at(await fetchSnapshot(asked, kind, cache, client, settings, options));
  } catch (cause) {
    options.signal?.throwIfAborted();
    const error = explain(cause, asked, kind.noun, settings);
    if (!isUsable || !(error instanceof UserError)) throw error;
    options.note?.(`using ${formatHubName(asked)} as the cache has it: ${error.message}`);
    return at(cached);
  }
}

/** Whether the cache has all that klamp does not go without. */
function hasNeeded(cache: RepoCache, commit: string, kind: RepoKind): boolean {
  if (!kind.required.every((name) => cache.has(commit, name))) return false;
  const weights = kind.weights.find((name) => cache.has(commit, name));
  if (weights === undefined) return false;
  return !isIndex(weights) || shardsOf(cache.snapshot(commit), weights).every((name) => cache.has(commit, name));
}

function notCached({ name, revision }: HubName, { noun }: RepoKind, { cache }: HubSettings): string {
  const command = `hf download ${name}${revision === MAIN ? "" : ` --revision ${revision}`}`;
  return `the ${noun} ${formatHubName({ name, revision })} is no folder that exists and not in the cache ${cache}, and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to download it: fetch it with \`${command}\`, or unset them once`;
}

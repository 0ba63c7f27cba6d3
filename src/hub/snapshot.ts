import { existsSync } from "node:fs";
import { mkdir, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";
import { formatHubName, type HubName } from "../common/hub-name.ts";
import type { RepoCache } from "./cache.ts";
import type { HubClient, HubFile } from "./client.ts";
import { downloadBlob } from "./download.ts";
import { hostOf } from "./failure.ts";
import { chooseFiles, isIndex, type RepoKind, shardsOf } from "./kinds.ts";
import { linkBlob } from "./link.ts";
import { partialBytes } from "./partial.ts";
import type { HubSettings } from "./settings.ts";

/** How far a download is. */
export interface DownloadProgress {
  readonly name: string;
  /** Bytes that are there, of so many. */
  readonly bytes: number;
  readonly total: number;
}

/** Who follows a download, and what can end it. */
export interface DownloadOptions {
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Called with what takes a while. */
  readonly note?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Downloads what a snapshot of this kind lacks, and returns its commit. The ref is written last. */
export async function fetchSnapshot(
  asked: HubName,
  kind: RepoKind,
  cache: RepoCache,
  client: HubClient,
  settings: HubSettings,
  options: DownloadOptions,
): Promise<string> {
  const commit = await client.commit(asked);
  const listed = new Map((await client.files(asked.name, commit)).map((file) => [file.path, file]));
  const snapshot = cache.snapshot(commit);
  const names = chooseFiles(kind, new Set(listed.keys()), formatHubName(asked));
  const get = (files: readonly HubFile[]) => download(files, { asked, commit, cache, client, settings, ...options });
  const index = names.filter((name) => isIndex(name)).map((name) => listed.get(name)!);
  await get(index);
  const shards = index.flatMap(({ path }) => shardsOf(snapshot, path));
  const missing = shards.find((name) => !listed.has(name));
  if (missing !== undefined)
    throw new UserError(
      `${formatHubName(asked)} has an index that names ${missing}, and no such file: choose another revision`,
    );
  await get([...names, ...shards].map((name) => listed.get(name)!));
  // A cache that others filled may be read only: what it has is used, and asked for again.
  for (const name of kind.optional.filter((name) => !listed.has(name)))
    await touch(cache.absent(commit, name)).catch(() => undefined);
  if (asked.revision !== commit && cache.commitOf(asked.revision) !== commit) {
    await mkdir(dirname(cache.ref(asked.revision)), { recursive: true });
    writeFileAtomic(cache.ref(asked.revision), commit);
  }
  return commit;
}

interface Destination extends DownloadOptions {
  readonly asked: HubName;
  readonly commit: string;
  readonly cache: RepoCache;
  readonly client: HubClient;
  readonly settings: HubSettings;
}

async function download(files: readonly HubFile[], to: Destination): Promise<void> {
  const { asked, commit, cache, client, settings, signal } = to;
  const lacking = files.filter(({ path }) => !cache.has(commit, path));
  await mkdir(cache.blobs, { recursive: true });
  const blobOf = ({ oid }: HubFile) => join(cache.blobs, oid);
  const coming = lacking.filter((file) => !existsSync(blobOf(file)));
  const total = coming.reduce((sum, { size }) => sum + size, 0);
  if (coming.length > 0) {
    const oids = coming.map(({ oid }) => oid);
    await checkSpace(cache.blobs, total - (await partialBytes(cache.blobs, oids)), formatHubName(asked));
    const what = `${coming.length} ${coming.length === 1 ? "file" : "files"}, ${megabytes(total)}`;
    to.note?.(`downloading ${formatHubName(asked)} from ${hostOf(settings.endpoint)}: ${what}`);
  }
  let done = 0;
  for (const file of lacking) {
    const onBytes = (bytes: number) => to.onDownload?.({ name: formatHubName(asked), bytes: done + bytes, total });
    const content = (from: number, ends: AbortSignal) => client.content(asked.name, commit, file.path, from, ends);
    await downloadBlob(file, cache.blobs, { content, onBytes, signal });
    if (coming.includes(file)) done += file.size;
    await linkBlob(blobOf(file), join(cache.snapshot(commit), file.path), settings.copies);
  }
}

/** @throws UserError when so many bytes more do not fit. */
async function checkSpace(folder: string, bytes: number, name: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bytes <= bavail * bsize) return;
  throw new UserError(
    `${name} takes ${megabytes(bytes)} more, the disk of the cache ${folder} has ${megabytes(bavail * bsize)} free: free space, or set HF_HUB_CACHE to another place`,
  );
}

async function touch(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "", { flag: "a" });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString("en-US", { maximumFractionDigits: 1 })} MB`;
}

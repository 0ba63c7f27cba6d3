import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { removeLeftovers, syncFolder, writeFileAtomic, writeFolderAtomic } from "../common/atomic-file.ts";
import { diskFault } from "../common/disk-fault.ts";
import { UserError } from "../common/errors.ts";
import { lockedBy, takeLock } from "../common/lock.ts";
import type { TrainingClient } from "../model/contract.ts";
import type { TrainState } from "../train/state.ts";
import { pruneCheckpoints, saveCheckpoint } from "./checkpoints.ts";

/** Files of JSON lines that a run adds to with its steps. */
const LINES = ["metrics.jsonl", "worst-tokens.jsonl", "samples.jsonl"] as const;

/** Whatever a run writes as a whole. */
const OWN = /^(checkpoint-\d+|adapter|config\.yaml|run\.json|run\.lock|anchors\.jsonl|summary\.json|report\.html)$/;
/** Held by the process that trains. */
const LOCK = "run.lock";

/**
 * What one run leaves behind: `config.yaml`, `metrics.jsonl`, `adapter/` and whatever else is written into it. What the disk
 * refuses is a UserError.
 */
export interface RunFolder {
  readonly path: string;
  /** Writes a file whole or not at all. */
  write(name: string, content: string): void;
  /** Adds one line to a file of JSON lines; it is with the operating system when this returns. */
  append(name: (typeof LINES)[number], row: object): void;
  /** Waits until the lines are on the disk. */
  sync(): void;
  /** Writes a checkpoint, and removes all but the newest `keep` and the best one. */
  saveCheckpoint(
    state: TrainState,
    client: Pick<TrainingClient, "folders">,
    kept: { readonly keep: number; readonly best: number | null },
  ): Promise<void>;
  /** Writes `adapter/` beside the old one, then puts it in its place. `complete` adds files of its own. */
  saveAdapter(client: AdapterSource, complete?: (folder: string) => void): Promise<void>;
  close(): void;
  /** Closes, and takes back what was written: a run that took no step leaves nothing. */
  discard(): void;
}

/** What can save an adapter in PEFT's layout: a client, or a checkpoint. */
export interface AdapterSource {
  readonly folders?: Pick<NonNullable<TrainingClient["folders"]>, "saveAdapter"> | undefined;
}

/** Refuses a run folder that exists or that could not be created, before any work is done for it. */
export function refuseOutput(path: string): void {
  if (existsSync(path)) {
    throw new UserError(
      `the run folder ${path} exists already, and klamp writes over nothing: choose another (--set output=${nextFreeFolder(path)}) or move it away`,
    );
  }
  let above = dirname(path);
  while (!existsSync(above)) above = dirname(above);
  const refuse = (reason: string) => {
    throw new UserError(`cannot create the run folder ${path}: ${reason}; choose another place (--set output=PATH)`);
  };
  if (!statSync(above).isDirectory()) refuse(`${above} is no folder`);
  try {
    accessSync(above, constants.W_OK);
  } catch {
    refuse(`${above} cannot be written to`);
  }
}

/** Files by their names. */
export type Files = readonly (readonly [name: string, content: string])[];

/** Creates a run folder, at once with its first files. @throws UserError when it exists, or cannot be created. */
export function createRunFolder(path: string, files: Files): RunFolder {
  refuseOutput(path);
  let firstCreated: string | undefined;
  const fresh = `${path}.${process.pid}.tmp`;
  try {
    firstCreated = mkdirSync(dirname(path), { recursive: true });
    mkdirSync(fresh);
    for (const [name, content] of files) writeFileAtomic(join(fresh, name), content);
    // Of two runs that begin at once, one finds that the folder is there and not empty.
    renameSync(fresh, path);
    syncFolder(dirname(path));
  } catch (cause) {
    rmSync(fresh, { recursive: true, force: true });
    throw diskFault(cause, `create the run folder ${path}`);
  }
  return openFolder(path, { outermost: firstCreated ?? path, names: files.map(([name]) => name) });
}

/** Opens the folder of a run that goes on after `step`: lines of later steps, and one that is not whole, are cut off. */
export function reopenRunFolder(path: string, step: number): RunFolder {
  const folder = openFolder(path);
  try {
    removeLeftovers(path, OWN);
    for (const name of LINES) {
      const file = join(path, name);
      if (existsSync(file)) truncateSync(file, linesUntil(readFileSync(file), step).bytes);
    }
  } catch (cause) {
    folder.close();
    throw diskFault(cause, `go on in the run folder ${path}`);
  }
  return folder;
}

/** Who is training in a run folder, in words; null when nobody is. */
export function trainedBy(path: string): string | null {
  return lockedBy(join(path, LOCK));
}

/** The lines of `metrics.jsonl` in a run folder, of the steps up to `step`. */
export function readRows<Row>(path: string, step: number): Row[] {
  const file = join(path, "metrics.jsonl");
  return existsSync(file) ? (linesUntil(readFileSync(file), step).rows as Row[]) : [];
}

/** The whole lines at the beginning of a file whose step is at most `step`, and how many bytes they are. */
function linesUntil(content: Buffer, step: number): { readonly rows: readonly unknown[]; readonly bytes: number } {
  const rows: unknown[] = [];
  let bytes = 0;
  for (let end = content.indexOf(10); end !== -1; end = content.indexOf(10, bytes)) {
    const row = rowOf(content.toString("utf8", bytes, end));
    if (!row || row.step > step) break;
    rows.push(row);
    bytes = end + 1;
  }
  return { rows, bytes };
}

function rowOf(line: string): { readonly step: number } | null {
  try {
    const row = JSON.parse(line);
    return Number.isInteger(row?.step) ? row : null;
  } catch {
    return null;
  }
}

/** @param created what was made for it if it is new: the outermost folder, and files. */
function openFolder(
  path: string,
  created?: { readonly outermost: string; readonly names: readonly string[] },
): RunFolder {
  const lock = safely(path, () => takeLock(join(path, LOCK), `the run in ${path} is being trained`));
  const open = new Map<string, number>();
  const written = new Set(created?.names);
  const close = () => {
    for (const file of open.values()) closeSync(file);
    open.clear();
    lock.release();
  };
  return {
    path,
    write: (name, content) => {
      written.add(name);
      safely(join(path, name), () => writeFileAtomic(join(path, name), content));
    },
    append: (name, row) =>
      safely(join(path, name), () => {
        const file = open.get(name) ?? openSync(join(path, name), "a");
        open.set(name, file);
        writeSync(file, `${JSON.stringify(row)}\n`);
        // A file that was deleted, or moved away with its folder, takes lines like any other.
        statSync(join(path, name));
      }),
    sync: () => {
      for (const [name, file] of open) safely(join(path, name), () => fsyncSync(file));
    },
    saveCheckpoint: async (state, client, { keep, best }) => {
      try {
        await saveCheckpoint(path, state, client);
        await pruneCheckpoints(path, keep, best);
      } catch (error) {
        throw diskFault(error, `write ${path}/checkpoint-${state.step}`);
      }
    },
    saveAdapter: async ({ folders }, complete = () => {}) => {
      if (!folders) throw new UserError("this engine keeps its adapter on a server: save a checkpoint there");
      try {
        await writeFolderAtomic(join(path, "adapter"), async (fresh) => {
          await folders.saveAdapter(fresh);
          complete(fresh);
        });
      } catch (error) {
        throw diskFault(error, `write ${path}/adapter`);
      }
    },
    close,
    discard: () => {
      close();
      if (created === undefined) return;
      try {
        for (const name of written) rmSync(join(path, name), { force: true });
        // Folders alone, and empty ones: whatever somebody else put there stays.
        for (let folder = path; folder.length >= created.outermost.length; folder = dirname(folder)) rmdirSync(folder);
      } catch {}
    },
  };
}

function safely<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskFault(error, `write ${path}`);
  }
}

/** The first of `path`, `path-2`, `path-3`, … that does not exist. */
export function nextFreeFolder(path: string): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${path}-${n}`;
    if (!existsSync(candidate)) return candidate;
  }
}

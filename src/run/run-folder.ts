import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";
import type { TrainingClient } from "../model/contract.ts";

/** What one run leaves behind: `config.yaml`, `metrics.jsonl`, `adapter/` and whatever else is written into it. */
export interface RunFolder {
  readonly path: string;
  /** Writes a file whole or not at all. */
  write(name: string, content: string): void;
  /** Adds one line to a file of JSON lines; it is with the operating system when this returns. */
  append(name: "metrics.jsonl" | "worst-tokens.jsonl", row: object): void;
  /** Writes `adapter/` beside the old one, then puts it in its place. */
  saveAdapter(client: Pick<TrainingClient, "folders">): Promise<void>;
  close(): void;
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

/** Creates a run folder. @throws UserError when it exists, or cannot be created. */
export function createRunFolder(path: string): RunFolder {
  refuseOutput(path);
  try {
    mkdirSync(dirname(path), { recursive: true });
    mkdirSync(path);
  } catch (cause) {
    throw new UserError(`cannot create the run folder ${path}: ${(cause as Error).message}`, { cause });
  }
  const open = new Map<string, number>();
  return {
    path,
    write: (name, content) => writeFileAtomic(join(path, name), content),
    append: (name, row) => {
      const file = open.get(name) ?? openSync(join(path, name), "a");
      open.set(name, file);
      writeSync(file, `${JSON.stringify(row)}\n`);
    },
    saveAdapter: async ({ folders }) => {
      if (!folders) throw new UserError("this engine keeps its adapter on a server: save a checkpoint there");
      const fresh = join(path, `adapter.${process.pid}.tmp`);
      await folders.saveAdapter(fresh);
      rmSync(join(path, "adapter"), { recursive: true, force: true });
      renameSync(fresh, join(path, "adapter"));
    },
    close: () => {
      for (const file of open.values()) closeSync(file);
      open.clear();
    },
  };
}

/** The first of `path`, `path-2`, `path-3`, … that does not exist. */
export function nextFreeFolder(path: string): string {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? path : `${path}-${n}`;
    if (!existsSync(candidate)) return candidate;
  }
}

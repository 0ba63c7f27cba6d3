import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** @file Runs in processes of their own whose work on files is watched, cut off, or refused. */

const WATCHED = fileURLToPath(new URL("watched.mjs", import.meta.url));
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** One operation on a file below the folder that is watched. */
export interface Operation {
  readonly kind: string;
  readonly path: string;
}

export interface Watch {
  /** The number, from 1, of the operation in whose middle the process is killed. */
  readonly killAt?: number;
  /** The number of one which the system refuses with `code`, as it does all later ones that write. */
  readonly failAt?: number;
  readonly code?: string;
}

/** A run that ended, or was ended. */
export interface Ended {
  readonly code: number | null;
  readonly err: string;
  readonly operations: readonly Operation[];
}

/**
 * Runs `klamp train` with these arguments.
 *
 * @param under the run folder: what is done in it is counted.
 * @param after kills it after so many milliseconds.
 */
export function watchedTrain(
  under: string,
  args: readonly string[],
  { killAt, failAt, code }: Watch = {},
  after?: number,
): Promise<Ended> {
  const trace = `${under}.trace`;
  const child = spawn(
    process.execPath,
    ["--import", WATCHED, "--import", import.meta.resolve("tsx"), MAIN, "train", ...args],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        DISK_UNDER: under,
        DISK_TRACE: trace,
        ...(killAt !== undefined && { DISK_KILL_AT: String(killAt) }),
        ...(failAt !== undefined && { DISK_FAIL_AT: String(failAt) }),
        ...(code !== undefined && { DISK_CODE: code }),
      },
    },
  );
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const timer = after === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), after);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, err, operations: operationsIn(trace) });
    });
  });
}

function operationsIn(trace: string): Operation[] {
  if (!existsSync(trace)) return [];
  const lines = readFileSync(trace, "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [kind, path] = JSON.parse(line) as [string, string];
    // The process's number in names of temporary files.
    return { kind, path: path.replaceAll(/\.\d+(?=(\.old)?\.tmp)/g, "") };
  });
}

/** The trained matrices, byte for byte. */
export function matricesOf(run: string): string {
  return readFileSync(join(run, "adapter", "adapter_model.safetensors"), "latin1");
}

/** The arguments that go on with a run which was cut off: its folder, if it was made. */
export function goOn(run: string, config: string): string[] {
  return existsSync(run) ? ["--resume", run] : ["--config", config];
}

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { findCheckpoints } from "./checkpoints.ts";
import type { RunSummary } from "./results.ts";
import { isRun, readEarlierRun } from "./run-record.ts";

/**
 * What a folder holds of a run that ended early, in words; null where nothing can go on: no run, or one that came to its end.
 */
export function runLeft(folder: string): string | null {
  if (!isRun(folder) || isFinished(readEarlierRun(folder).config, folder)) return null;
  const [newest] = findCheckpoints(folder);
  return newest ? `saved after step ${newest.step}` : "before its first checkpoint";
}

/** Whether the run in a folder came to the end that a configuration asks for. */
export function isFinished({ train }: Config, folder: string): boolean {
  let completed: RunSummary["completed"];
  try {
    ({ completed } = JSON.parse(readFileSync(join(folder, "summary.json"), "utf8")) as RunSummary);
  } catch {
    return false;
  }
  return completed != null && completed.steps === train.steps && completed.epochs === train.epochs;
}

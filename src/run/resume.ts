import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { UserError } from "../common/errors.ts";
import { stringifyConfig } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import type { Engine, TrainingClient } from "../model/contract.ts";
import type { StepMetrics } from "../train/metrics.ts";
import type { TrainState } from "../train/state.ts";
import { findCheckpoints, readCheckpoint } from "./checkpoints.ts";
import type { Sources } from "./locate.ts";
import { createRunFolder, type Files, type RunFolder, readRows, reopenRunFolder } from "./run-folder.ts";
import { checkSameRun, readEarlierRun, recordRun, writtenRecord } from "./run-record.ts";

/** A run that is to begin or to go on. */
export interface Begun {
  readonly config: Config;
  readonly sources: Sources;
  readonly engine: Engine;
  readonly client: TrainingClient;
  readonly steps: number;
  readonly resume: boolean;
  readonly note: (text: string) => void;
}

/** Where it begins. */
export interface OpenRun {
  readonly folder: RunFolder;
  /** What the folder was created with, or would be. */
  readonly files: Files;
  /** The state after the last step that was saved; null at the beginning. */
  readonly state: TrainState | null;
  /** The lines of the steps until then. */
  readonly rows: readonly StepMetrics[];
}

/**
 * Creates the folder of a run, or opens that of one that goes on and reads its newest checkpoint.
 *
 * @throws UserError when the folder is taken, or holds another run, or none.
 */
export async function openRun(run: Begun): Promise<OpenRun> {
  const { config, sources, engine, resume } = run;
  const record = await recordRun(config, sources, engine);
  checkRoom(config.output, await bytesNeeded(run));
  const files: Files = [["config.yaml", stringifyConfig(config)], writtenRecord(record)];
  if (!resume) return { folder: createRunFolder(config.output, files), files, state: null, rows: [] };
  const earlier = readEarlierRun(config.output);
  const state = await newestState(config.output, run.note);
  const taken = state?.step ?? 0;
  checkSameRun(earlier, { config, record }, { taken, steps: run.steps }, run.note);
  run.note(state ? `going on after step ${taken}` : "no step was saved: going on from the start");
  const folder = reopenRunFolder(config.output, taken);
  // What may change, such as a greater number of steps.
  folder.write("config.yaml", stringifyConfig(config));
  return { folder, files, state, rows: readRows(config.output, taken) };
}

/** The state in the newest checkpoint that is sound. */
async function newestState(folder: string, note: (text: string) => void): Promise<TrainState | null> {
  for (const checkpoint of findCheckpoints(folder)) {
    try {
      return await readCheckpoint(checkpoint);
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause;
      note(`${cause.message}; looking for the one before it`);
    }
  }
  return null;
}

/** The checkpoints that lie side by side at one moment, and the adapter. */
async function bytesNeeded({ config, client }: Begun): Promise<number> {
  let bytes = 0;
  for (const { data } of (await client.state?.read())?.values() ?? []) bytes += data.byteLength;
  return (config.train.keep + 2) * 1.4 * bytes;
}

function checkRoom(path: string, needed: number): void {
  let above = path;
  for (;;) {
    try {
      const { bavail, bsize } = statfsSync(above);
      const free = bavail * bsize;
      if (free >= needed) return;
      const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
      throw new UserError(
        `the disk of ${path} has ${megabytes(free)} free, the run's checkpoints and adapter need ${megabytes(needed)}: free some space, lower train.keep, or choose another place (--set output=PATH)`,
      );
    } catch (cause) {
      if (cause instanceof UserError || above === dirname(above)) throw cause;
      above = dirname(above);
    }
  }
}

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeFolderAtomic, writeFolderAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";
import type { Config } from "../config/schema.ts";
import { readSafetensors, writeSafetensors } from "../data/safetensors.ts";
import type { TrainingClient } from "../model/contract.ts";
import { CHECKPOINT_DEFAULTS } from "../model/training.ts";
import type { TrainState } from "../train/state.ts";

/**
 * @file Checkpoints of a run, `checkpoint-STEP/` in its folder: the adapter in PEFT's layout, and all else that training
 * needs to go on from there to the same last bit. `checkpoint.json` holds the digest of every file and of itself.
 */

/** A place where a run can go on. */
export interface Checkpoint {
  readonly path: string;
  readonly step: number;
}

const TENSORS = "state.safetensors";
const MANIFEST = "checkpoint.json";

/** What `checkpoint.json` holds; `sha256` is that of all else in it. */
interface Manifest {
  readonly step: number;
  readonly values: TrainState["values"];
  /** `sha256:…` of each file beside it. */
  readonly files: Readonly<Record<string, string>>;
  readonly sha256: string;
}

/** When a checkpoint is due: so many steps or so much time after the one before. */
export class SaveSchedule {
  readonly #steps: number;
  readonly #milliseconds: number;
  #last: { readonly step: number; readonly time: number };

  /** @param every `train.save_every`. @param step the last that was taken before. */
  constructor(every: Config["train"]["save_every"], step: number, now: number) {
    const { saveSteps, saveSeconds } = CHECKPOINT_DEFAULTS;
    this.#steps =
      every === null ? saveSteps : typeof every === "number" && every > 0 ? every : Number.POSITIVE_INFINITY;
    const time = every === null ? saveSeconds : typeof every === "string" ? secondsOf(every) : Number.POSITIVE_INFINITY;
    this.#milliseconds = 1000 * time;
    this.#last = { step, time: now };
  }

  isDue(step: number, now: number): boolean {
    return step - this.#last.step >= this.#steps || now - this.#last.time >= this.#milliseconds;
  }

  saved(step: number, now: number): void {
    this.#last = { step, time: now };
  }
}

/** Of `90s`, `10m` or `1h`. */
function secondsOf(duration: string): number {
  return Number(duration.slice(0, -1)) * { s: 1, m: 60, h: 3600 }[duration.slice(-1) as "s" | "m" | "h"];
}

/** Writes the checkpoint of a step into a run folder, whole or not at all. */
export async function saveCheckpoint(
  folder: string,
  { step, values, tensors }: TrainState,
  { folders }: Pick<TrainingClient, "folders">,
): Promise<void> {
  await writeFolderAtomic(join(folder, `checkpoint-${step}`), async (fresh) => {
    await folders!.saveAdapter(fresh);
    await writeSafetensors(join(fresh, TENSORS), tensors);
    const files = Object.fromEntries(readdirSync(fresh).map((name) => [name, digest(readFileSync(join(fresh, name)))]));
    const facts = { step, values, files };
    const manifest: Manifest = { ...facts, sha256: digest(JSON.stringify(facts)) };
    writeFileSync(join(fresh, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
  });
}

/** The checkpoints in a run folder, the newest first. */
export function findCheckpoints(folder: string): Checkpoint[] {
  return readdirSync(folder)
    .flatMap((name) => {
      const step = /^checkpoint-(\d+)$/.exec(name)?.[1];
      return step === undefined ? [] : [{ path: join(folder, name), step: Number(step) }];
    })
    .sort((a, b) => b.step - a.step);
}

/** The state that a checkpoint holds. @throws UserError for one that is damaged. */
export async function readCheckpoint({ path, step }: Checkpoint): Promise<TrainState> {
  const damaged = (what: string) => new UserError(`the checkpoint ${path} is damaged: ${what}`);
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(join(path, MANIFEST), "utf8"));
    const { sha256, ...facts } = manifest;
    if (sha256 !== digest(JSON.stringify(facts)) || facts.step !== step) throw damaged(`${MANIFEST} was changed`);
    for (const [name, expected] of Object.entries(facts.files)) {
      if (digest(readFileSync(join(path, name))) !== expected) throw damaged(`${name} was changed`);
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw damaged((cause as Error).message);
  }
  return { step, values: manifest.values, tensors: await readSafetensors(join(path, TENSORS)) };
}

/** Removes all checkpoints but the newest `keep` and that of the best step. */
export async function pruneCheckpoints(folder: string, keep: number, best: number | null): Promise<void> {
  for (const { path, step } of findCheckpoints(folder).slice(keep)) {
    if (step !== best) await removeFolderAtomic(path);
  }
}

function digest(content: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

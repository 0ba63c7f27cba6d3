import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { UserError } from "../common/errors.ts";
import { version } from "../common/version.ts";
import { loadConfig, pathsIn } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import { findFiles } from "../data/files/find.ts";
import type { Engine } from "../model/contract.ts";
import { learningRate } from "../train/schedule.ts";
import { TOKENIZER_FILES } from "./adapter-card.ts";
import type { Sources } from "./locate.ts";

/** @file What a run was begun with: `run.json` in its folder, which tells whether what goes on is the same run. */

const FILE = "run.json";

/** What a run was begun with, beside its configuration. */
export interface RunRecord {
  /** `sha256:…` of whatever the configuration names, by its key. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly threads: number;
  /** The version that began it. */
  readonly klamp: string;
}

/** A run as its folder tells of it. */
export interface EarlierRun {
  readonly config: Config;
  readonly record: RunRecord;
}

/** Settings that may be others when a run goes on: they change nothing of what is trained. */
const FREE = /^(output|engine\.threads|train\.(save_every|keep)|evaluate\..*)$/;
/** Settings that may become larger. */
const LENGTHS = new Set(["train.steps", "train.epochs"]);

/** Looks at what a configuration names. */
export async function recordRun(config: Config, { model, adapter }: Sources, engine: Engine): Promise<RunRecord> {
  const inputs: Record<string, string> = {};
  const { stores } = engine;
  if (stores) inputs.model = stores.digest();
  if (stores && adapter) inputs["train.adapter"] = await stores.adapterDigest(adapter.folder);
  const hash = createHash("sha256");
  for (const name of TOKENIZER_FILES) {
    if (existsSync(join(model.folder, name))) hash.update(`\n${name}\n`).update(readFileSync(join(model.folder, name)));
  }
  inputs.tokenizer = `sha256:${hash.digest("hex")}`;
  for (const [key, path] of pathsIn(config)) {
    if (FREE.test(key) || key === "model" || key === "train.adapter") continue;
    const files = key.startsWith("data.train") ? await findFiles(path) : [path];
    for (const file of files) {
      // A folder is a store, which says itself what it is of.
      if (existsSync(file) && statSync(file).isFile()) inputs[`${key} (${basename(file)})`] = await digestFile(file);
    }
  }
  const { threads } = config.engine;
  return { inputs, threads: threads === "auto" ? availableParallelism() : threads, klamp: version() };
}

/** The file's content. */
export function writtenRecord(record: RunRecord): [name: string, content: string] {
  return [FILE, `${JSON.stringify(record, null, 2)}\n`];
}

/** Whether a folder is that of a run which was begun. */
export function isRun(folder: string): boolean {
  return existsSync(join(folder, FILE)) && existsSync(join(folder, "config.yaml"));
}

/** The configuration of the run in a folder. @throws UserError for a folder that holds none. */
export function runConfigFile(folder: string): string {
  if (isRun(folder)) return join(folder, "config.yaml");
  const what = existsSync(folder) ? `holds no run: ${FILE} or config.yaml is missing` : "does not exist";
  throw new UserError(`the run folder ${folder} ${what}; give the \`output\` of a run that was begun.`);
}

/** Reads what a run folder tells. @throws UserError for a folder that holds no run. */
export function readEarlierRun(folder: string): EarlierRun {
  const config = runConfigFile(folder);
  try {
    return { config: loadConfig(config), record: JSON.parse(readFileSync(join(folder, FILE), "utf8")) as RunRecord };
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${join(folder, FILE)} is damaged: start the run again with another output.`, { cause });
  }
}

/**
 * Refuses to go on with a run as another one.
 *
 * @param taken how many steps were taken, of `steps` now.
 * @param note is told what may be different, but changes the last digits.
 * @throws UserError naming all that has changed.
 */
export function checkSameRun(
  then: EarlierRun,
  now: EarlierRun,
  { taken, steps }: { readonly taken: number; readonly steps: number },
  note: (text: string) => void,
): void {
  const faults: string[] = [];
  const paths = new Set([...pathsIn(then.config).keys(), ...pathsIn(now.config).keys()]);
  const [before, after] = [leaves(then.config), leaves(now.config)];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key) ?? "unset", after.get(key) ?? "unset"];
    if (was === is || FREE.test(key) || paths.has(key)) continue;
    const longer = LENGTHS.has(key) && Number(is) > Number(was);
    if (longer && sameLearningRates(now.config, taken, [Math.round((steps * Number(was)) / Number(is)), steps]))
      continue;
    const why = longer
      ? `, on which the learning rates of steps taken depend (schedule ${now.config.optimizer.schedule})`
      : "";
    faults.push(`${key} was ${was} and is ${is}${why}`);
  }
  for (const key of new Set([...Object.keys(then.record.inputs), ...Object.keys(now.record.inputs)])) {
    const [was, is] = [then.record.inputs[key], now.record.inputs[key]];
    if (was !== is)
      faults.push(`${key} ${was === undefined ? "is new" : is === undefined ? "is missing" : "has changed"}`);
  }
  if (faults.length > 0) {
    throw new UserError(
      `the run cannot go on, as it would be another one: ${faults.join("; ")}. Put back what has changed, or start a new run with another output.`,
    );
  }
  for (const key of ["threads", "klamp"] as const) {
    const [was, is] = [then.record[key], now.record[key]];
    if (was === is) continue;
    const what = key === "threads" ? `on ${is} threads, begun on ${was}` : `with klamp ${is}, begun with ${was}`;
    note(`going on ${what}: the result is no longer bit-identical to that of a run without a break`);
  }
}

/** Whether the steps taken had the learning rates that they would have in a run of another length. */
function sameLearningRates({ optimizer }: Config, taken: number, [then, now]: readonly [number, number]): boolean {
  const { learning_rate, warmup_steps, schedule } = optimizer;
  const options = { learningRate: learning_rate, warmupSteps: warmup_steps, schedule };
  for (let step = 1; step <= taken; step++) {
    if (learningRate(step, then, options) !== learningRate(step, now, options)) return false;
  }
  return true;
}

/** The values of a configuration by their keys, as JSON. */
function leaves(value: unknown, key = ""): Map<string, string> {
  if (typeof value !== "object" || value === null) return new Map(value === null ? [] : [[key, JSON.stringify(value)]]);
  return new Map(
    Object.entries(value).flatMap(([name, below]) => [...leaves(below, key === "" ? name : `${key}.${name}`)]),
  );
}

async function digestFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return `sha256:${hash.digest("hex")}`;
}

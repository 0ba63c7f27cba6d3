import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../common/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { worstPositions, worstToken } from "../drift/worst-tokens.ts";
import type { TrainingClient } from "../model/contract.ts";
import { TrainingDivergedError } from "../train/diverged.ts";
import { type StepMetrics, type StepResult, stepMetrics } from "../train/metrics.ts";
import type { StepDetails } from "../train/train.ts";
import { SaveSchedule } from "./checkpoints.ts";
import { bestStep, looksForBest } from "./early-stopping.ts";
import type { Measured } from "./evaluations.ts";
import { createRunFolder, type Files, nextFreeFolder, type RunFolder } from "./run-folder.ts";

/** What a run's steps leave in its folder. */
export interface RecorderOptions {
  readonly folder: RunFolder;
  /** What the folder was created with. */
  readonly files: Files;
  readonly client: TrainingClient;
  readonly tokenizer: Tokenizer;
  readonly config: Pick<Config, "train" | "evaluate">;
  /** The lines of steps that were taken before. */
  readonly rows: readonly StepMetrics[];
  /** Adds to the folder of an adapter what stands beside its matrices. @param steps updates made. */
  readonly complete: (adapter: string, steps: number) => void;
}

/** Writes a run's steps, its checkpoints when they are due, and its adapter. */
export class Recorder {
  /** One of each step. */
  readonly rows: StepMetrics[];
  readonly #options: RecorderOptions;
  readonly #due: SaveSchedule;
  #folder: RunFolder;
  /** The last step of this process; undefined before the first, and for an engine whose state cannot be read. */
  #last: StepDetails | undefined;
  /** The step of the newest checkpoint. */
  #saved: number;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#folder = options.folder;
    this.rows = [...options.rows];
    this.#saved = this.taken;
    this.#due = new SaveSchedule(options.config.train.save_every, this.taken, performance.now());
  }

  /** Steps taken, those before this process included. */
  get taken(): number {
    return this.rows.at(-1)?.step ?? 0;
  }

  /** The step whose adapter the run gives, if that is not the last one. */
  get best(): number | null {
    const { evaluate } = this.#options.config;
    const best = looksForBest(evaluate) ? bestStep(this.rows, evaluate) : null;
    return best === this.taken ? null : best;
  }

  /** Records a step with what was measured after it, and saves a checkpoint where one is due, or where it is the best. */
  async add(result: StepResult, details: StepDetails, measured?: Measured | null): Promise<StepMetrics> {
    const { config, tokenizer } = this.#options;
    const folder = this.#folder;
    const row = { ...stepMetrics(result), ...measured?.metrics };
    folder.append("metrics.jsonl", row);
    this.rows.push(row);
    this.#last = details;
    for (const sample of measured?.samples ?? []) folder.append("samples.jsonl", { step: row.step, ...sample });
    if (details.full && config.train.worst_tokens > 0) {
      for (const each of worstPositions(details.positions, config.train.worst_tokens)) {
        folder.append("worst-tokens.jsonl", worstToken(row.step, each, tokenizer));
      }
    }
    const isBest = measured != null && looksForBest(config.evaluate) && this.best === null;
    if (isBest || this.#due.isDue(row.step, performance.now())) await this.#checkpoint();
    return row;
  }

  /** Adds what was measured to the last step that an earlier process recorded, which ended before it was measured. */
  amend({ metrics, samples }: Measured): void {
    const step = this.taken;
    this.rows.push({ ...this.rows.pop()!, ...metrics });
    this.#folder.write("metrics.jsonl", this.rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    for (const sample of samples) this.#folder.append("samples.jsonl", { step, ...sample });
  }

  /** Saves a checkpoint of the last step and the adapter. */
  async finish(): Promise<void> {
    await this.#checkpoint();
    await this.#saveAdapter();
  }

  /**
   * Saves what there is before a run ends with an error.
   *
   * @returns the error to end with: a user's mistake says in which step it came up, what is saved, and how to go on.
   */
  async rescue(cause: unknown): Promise<unknown> {
    const { client } = this.#options;
    const diverged = cause instanceof TrainingDivergedError;
    let saved: string;
    try {
      this.#restoreFolder();
      // Weights that gave no finite loss are of no use: those before them are.
      if (diverged) {
        await client.revert?.();
        await this.#saveAdapter();
        saved = `${this.#folder.path}/adapter holds the weights that step ${this.taken} measured, the last with finite results`;
      } else {
        await this.finish();
        saved = `${this.#folder.path}/adapter holds the weights after step ${this.taken}; go on with \`klamp train --resume ${this.#folder.path}\``;
      }
    } catch {
      saved =
        this.#saved > 0
          ? `${this.#folder.path}/checkpoint-${this.#saved} is safe: go on from there with \`klamp train --resume ${this.#folder.path}\``
          : "no checkpoint was written yet";
    } finally {
      this.#folder.close();
    }
    if (!(cause instanceof UserError)) return cause;
    const what = cause.message.replace(/\.$/, "");
    return new UserError(`${diverged ? "" : `step ${this.taken + 1}: `}${what}; ${saved}.`, { cause });
  }

  /** Makes the folder again where it was deleted or moved, or another one where something else has taken its place. */
  #restoreFolder(): void {
    const { path } = this.#folder;
    if (existsSync(join(path, "config.yaml"))) return;
    this.#folder.close();
    this.#folder = createRunFolder(nextFreeFolder(path), this.#options.files);
    for (const row of this.rows) this.#folder.append("metrics.jsonl", row);
    this.#saved = 0;
  }

  async #checkpoint(): Promise<void> {
    const { client, config } = this.#options;
    const folder = this.#folder;
    if (!this.#last || this.#saved === this.taken) return;
    // Lines first: a checkpoint's steps are all there.
    folder.sync();
    await folder.saveCheckpoint(await this.#last.state(), client, { keep: config.train.keep, best: this.best });
    this.#saved = this.taken;
    this.#due.saved(this.taken, performance.now());
  }

  async #saveAdapter(): Promise<void> {
    const { client, complete } = this.#options;
    const { best } = this;
    const checkpoint = best === null ? null : join(this.#folder.path, `checkpoint-${best}`);
    const from = checkpoint !== null && existsSync(checkpoint) ? { folders: adapterIn(checkpoint) } : client;
    await this.#folder.saveAdapter(from, (adapter) => complete(adapter, best ?? this.taken));
  }
}

/** What saves the adapter of a checkpoint. */
function adapterIn(checkpoint: string): Pick<NonNullable<TrainingClient["folders"]>, "saveAdapter"> {
  return {
    saveAdapter: async (to) => {
      for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
        copyFileSync(join(checkpoint, name), join(to, name));
      }
    },
  };
}

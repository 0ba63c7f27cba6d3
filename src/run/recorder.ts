import { UserError } from "../common/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { worstPositions, worstToken } from "../drift/worst-tokens.ts";
import type { TrainingClient } from "../model/contract.ts";
import { TrainingDivergedError } from "../train/diverged.ts";
import { type StepMetrics, type StepResult, stepMetrics } from "../train/metrics.ts";
import type { StepDetails } from "../train/train.ts";
import { pruneCheckpoints, SaveSchedule, saveCheckpoint } from "./checkpoints.ts";
import type { RunFolder } from "./run-folder.ts";

/** What a run's steps leave in its folder. */
export interface RecorderOptions {
  readonly folder: RunFolder;
  readonly client: TrainingClient;
  readonly tokenizer: Tokenizer;
  readonly train: Config["train"];
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
  /** The last step of this process; undefined before the first, and for an engine whose state cannot be read. */
  #last: StepDetails | undefined;
  /** The step of the newest checkpoint. */
  #saved: number;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.rows = [...options.rows];
    this.#saved = this.taken;
    this.#due = new SaveSchedule(options.train.save_every, this.taken, performance.now());
  }

  /** Steps taken, those before this process included. */
  get taken(): number {
    return this.rows.at(-1)?.step ?? 0;
  }

  /** Records a step, and saves a checkpoint where one is due. */
  async add(result: StepResult, details: StepDetails): Promise<StepMetrics> {
    const { folder, train, tokenizer } = this.#options;
    const row = stepMetrics(result);
    folder.append("metrics.jsonl", row);
    this.rows.push(row);
    this.#last = details;
    if (details.full && train.worst_tokens > 0) {
      for (const each of worstPositions(details.positions, train.worst_tokens)) {
        folder.append("worst-tokens.jsonl", worstToken(row.step, each, tokenizer));
      }
    }
    if (this.#due.isDue(row.step, performance.now())) await this.#checkpoint();
    return row;
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
    const { folder, client } = this.#options;
    const diverged = cause instanceof TrainingDivergedError;
    // Weights that gave no finite loss are of no use: those before them are.
    if (diverged) {
      await client.revert?.();
      await this.#saveAdapter();
    } else await this.finish();
    if (!(cause instanceof UserError)) return cause;
    const what = cause.message.replace(/\.$/, "");
    const saved = diverged
      ? `${folder.path}/adapter holds the weights that step ${this.taken} measured, the last with finite results`
      : `${folder.path}/adapter holds the weights after step ${this.taken}; go on with \`klamp train --resume ${folder.path}\``;
    return new UserError(`${diverged ? "" : `step ${this.taken + 1}: `}${what}; ${saved}.`, { cause });
  }

  async #checkpoint(): Promise<void> {
    const { folder, client, train } = this.#options;
    if (!this.#last || this.#saved === this.taken) return;
    // Lines first: a checkpoint's steps are all there.
    folder.sync();
    await saveCheckpoint(folder.path, await this.#last.state(), client);
    await pruneCheckpoints(folder.path, train.keep);
    this.#saved = this.taken;
    this.#due.saved(this.taken, performance.now());
  }

  async #saveAdapter(): Promise<void> {
    const { folder, client, complete } = this.#options;
    await folder.saveAdapter(client, (adapter) => complete(adapter, this.taken));
  }
}

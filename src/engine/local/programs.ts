import { buildHead, buildHeadBackward, buildTrunk, type Lora } from "./decoder.ts";
import type { ModelConfig } from "./model-folder.ts";
import { Program } from "./program.ts";

/**
 * Which weights a trunk runs with and what for: `train` keeps what its backward pass needs; `current` and `base` only
 * look, with the adapter on or off; the cached ones generate.
 */
export type TrunkKind = "train" | "current" | "base" | "current-cached" | "base-cached";

/** A trunk and a head of its own, so that using one never overwrites what another one gave. */
export interface ForwardPrograms {
  readonly trunk: Program;
  readonly head: Program;
}

export interface TrainPrograms extends ForwardPrograms {
  readonly backward: Program;
  readonly headBackward: Program;
}

/** Builds the graphs of a model when they are first needed, and keeps them. */
export class Programs {
  readonly #config: ModelConfig;
  readonly #lora: Lora | undefined;
  readonly #threads: number;
  readonly #open = new Map<TrunkKind, Promise<TrainPrograms | ForwardPrograms>>();

  /** @param lora absent: every weight is trained. */
  constructor(config: ModelConfig, lora: Lora | undefined, threads: number) {
    this.#config = config;
    this.#lora = lora;
    this.#threads = threads;
  }

  train(): Promise<TrainPrograms> {
    return this.#once("train", async () => {
      const trainWeights = this.#lora === undefined;
      const { tape, hidden } = buildTrunk(this.#config, { ...this.#adapter(), trainWeights });
      const backward = tape.vjp(hidden);
      return {
        trunk: await Program.open(tape, this.#threads),
        backward: await Program.open(backward, this.#threads),
        head: await this.#head(),
        headBackward: await Program.open(buildHeadBackward(this.#config, trainWeights), this.#threads),
      };
    });
  }

  look(kind: Exclude<TrunkKind, "train">): Promise<ForwardPrograms> {
    return this.#once(kind, async () => {
      const cache = kind.endsWith("cached");
      const { tape } = buildTrunk(this.#config, { ...(kind.startsWith("current") && this.#adapter()), cache });
      return { trunk: await Program.open(tape, this.#threads, cache ? 2 : 1), head: await this.#head() };
    });
  }

  async close(): Promise<void> {
    for (const programs of await Promise.all(this.#open.values())) {
      await Promise.all(Object.values(programs).map((program: Program) => program.close()));
    }
    this.#open.clear();
  }

  #head(): Promise<Program> {
    return Program.open(buildHead(this.#config), this.#threads);
  }

  #adapter(): { lora?: Lora } {
    return this.#lora ? { lora: this.#lora } : {};
  }

  #once<T extends ForwardPrograms>(kind: TrunkKind, open: () => Promise<T>): Promise<T> {
    const programs = (this.#open.get(kind) as Promise<T> | undefined) ?? open();
    this.#open.set(kind, programs);
    return programs;
  }
}

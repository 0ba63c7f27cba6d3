import type { Tensor } from "../../divergence/tensor.ts";
import type { BaseModel } from "./base-model.ts";
import { openHead } from "./programs.ts";

/**
 * The model's head alone: from final hidden states, which a store kept, to log-probabilities. LoRA leaves the head as it is,
 * so they are the base's.
 */
export class HiddenHead {
  readonly #model: BaseModel;
  readonly #key: string;
  readonly #fresh: boolean;
  /** [rows, d] of all data of a call. */
  #rows = new Float32Array(0);

  /** @param name heads of different names do not share the memory of their results; without one, results are not shared. */
  constructor(model: BaseModel, name?: string) {
    this.#model = model;
    this.#key = name === undefined ? "head" : `head of ${name}`;
    this.#fresh = name === undefined;
  }

  /**
   * Log-probabilities [n, V] of final hidden states [n, d]. A head with a name hands out as many rows as the engine holds at
   * once in memory that its next call writes over, which saves a copy and fresh memory; all else is in memory of its own.
   */
  async fromHidden(hidden: readonly Tensor[]): Promise<Tensor[]> {
    const model = this.#model;
    const { vocabSize: size, hiddenSize: d } = model.config;
    const head = await model.program(this.#key, openHead);
    const counts = hidden.map(({ shape }) => shape[0]!);
    const total = counts.reduce((a, b) => a + b, 0);
    const run = async (row: number, rows: number) => {
      const part = this.#rows.subarray(row * d, (row + rows) * d);
      const fed = new Map([["hidden", model.runtime.floats(part, [rows, d])]]);
      return (await head.run([fed, model.feeds], { rows })).get("logprobs")!.data;
    };
    const logprobs = await model.lock(async () => {
      if (this.#rows.length < total * d) this.#rows = new Float32Array(total * d);
      let at = 0;
      for (const { data } of hidden) {
        this.#rows.set(data, at);
        at += data.length;
      }
      if (total <= model.rowsAtOnce && !this.#fresh) return run(0, total);
      const all = new Float32Array(total * size);
      for (let row = 0; row < total; row += model.rowsAtOnce) {
        all.set(await run(row, Math.min(model.rowsAtOnce, total - row)), row * size);
      }
      return all;
    });
    let row = 0;
    return counts.map((count) => {
      const data = logprobs.subarray(row * size, (row + count) * size);
      row += count;
      return { data, shape: [count, size] };
    });
  }
}

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Datum, rowCount } from "../../src/data/datum.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import type {
  AdamParams,
  AdapterLoss,
  CustomLoss,
  CustomOutput,
  ForwardOutput,
  SampledSequence,
  SamplingClient,
  SamplingParams,
  TrainingClient,
} from "../../src/model/legacy.ts";
import { mergePenaltyMetrics, type Penalty } from "../../src/regularizer/index.ts";
import { AdamW } from "./adamw.ts";

export interface TableOptions {
  readonly vocabulary: number;
  readonly seed?: number;
  /** At most so many datums go through `compute` at once. */
  readonly atOnce?: number;
}

/**
 * A real, tiny language model: the logits of the next token are one row of a table, base[token] + delta[token]. Only
 * delta trains, with true gradients and AdamW in float64, so that whole training runs take milliseconds.
 */
export class TableModel implements TrainingClient {
  readonly base: Float64Array;
  readonly delta: Float64Array;
  readonly gradient: Float64Array;
  readonly #vocabulary: number;
  readonly #atOnce: number;
  readonly #optimizer: AdamW;
  /** How many datums the base's distribution was asked for: what a reference costs. */
  baseLooks = 0;

  constructor({ vocabulary, seed = 1, atOnce = Number.POSITIVE_INFINITY }: TableOptions) {
    const size = vocabulary * vocabulary;
    this.#vocabulary = vocabulary;
    this.#atOnce = atOnce;
    this.base = Float64Array.from({ length: size }, (_, i) => 2 * Math.sin((i + 1) * 12.9898 * seed));
    this.delta = new Float64Array(size);
    this.gradient = new Float64Array(size);
    this.#optimizer = new AdamW(size);
  }

  async forward(data: readonly Datum[]): Promise<ForwardOutput> {
    const logprobs = data.map((datum) => this.#targets(datum, this.#distribution(datum, true)));
    return { logprobs, metrics: {} };
  }

  async forwardBackward(): Promise<ForwardOutput> {
    throw new Error("the trainer has no use for this");
  }

  async forwardBackwardCustom(data: readonly Datum[], { compute }: CustomLoss): Promise<CustomOutput> {
    let loss = 0;
    const metrics: Penalty["metrics"][] = [];
    for (let from = 0; from < data.length; from += Math.min(this.#atOnce, data.length)) {
      const part = data.slice(from, from + this.#atOnce);
      const penalty = await compute(
        part,
        part.map((datum) => this.#distribution(datum, true)),
      );
      loss += penalty.loss;
      metrics.push(penalty.metrics);
      part.forEach((datum, d) => {
        for (let row = 0; row < rowCount(datum); row++) {
          const to = this.#lastRead(datum, row) * this.#vocabulary;
          for (let v = 0; v < this.#vocabulary; v++) {
            this.gradient[to + v]! += penalty.gradient[d]!.data[row * this.#vocabulary + v]!;
          }
        }
      });
    }
    return { loss, metrics: mergePenaltyMetrics(metrics) };
  }

  /** The table of changes stands for both matrices of an adapter, in halves. */
  async backwardAdapter(loss: AdapterLoss): Promise<CustomOutput> {
    const half = this.delta.length / 2;
    const names = ["table.lora_A.weight", "table.lora_B.weight"];
    const matrices = names.map((name, i) => {
      const data = Float32Array.from(this.delta.subarray(i * half, (i + 1) * half));
      return [name, { data, shape: i === 0 ? [2, half / 2] : [half / 2, 2] }] as const;
    });
    const { gradient, ...output } = loss(new Map(matrices));
    for (const [i, name] of names.entries())
      gradient.get(name)?.data.forEach((slope, k) => {
        this.gradient[i * half + k]! += slope;
      });
    return output;
  }

  async optimStep(params: AdamParams) {
    return { grad_norm: this.#optimizer.update(this.delta, this.gradient, params) };
  }

  async saveAdapter(folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "delta.json"), JSON.stringify([...this.delta]));
  }

  saveState(folder: string): Promise<void> {
    return this.saveAdapter(folder);
  }

  async loadState(folder: string): Promise<void> {
    this.delta.set(JSON.parse(readFileSync(join(folder, "delta.json"), "utf8")) as number[]);
  }

  sampler(weights: "current" | "base"): SamplingClient {
    const current = weights === "current";
    return {
      sample: async (prompts, params) => prompts.map((prompt, i) => this.#draw(prompt, params, i, current)),
      computeLogprobs: async () => {
        throw new Error("the trainer has no use for this");
      },
      distributions: async (data) => {
        if (!current) this.baseLooks += data.length;
        return data.map((datum) => this.#distribution(datum, current));
      },
    };
  }

  #lastRead({ modelInput, lossInputs }: Datum, row: number): number {
    return modelInput[lossInputs.positions?.data[row] ?? row]!;
  }

  #distribution(datum: Datum, current: boolean): Tensor {
    const rows = Array.from({ length: rowCount(datum) }, (_, row) =>
      this.#logprobs(this.#lastRead(datum, row), current),
    );
    return { data: Float32Array.from(rows.flat()), shape: [rows.length, this.#vocabulary] };
  }

  #logprobs(token: number, current: boolean): number[] {
    const at = token * this.#vocabulary;
    const logits = Array.from(
      { length: this.#vocabulary },
      (_, v) => this.base[at + v]! + (current ? this.delta[at + v]! : 0),
    );
    const max = Math.max(...logits);
    const logSum = max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
    return logits.map((logit) => logit - logSum);
  }

  #targets({ lossInputs }: Datum, { data }: Tensor): Tensor {
    const logprobs = Float32Array.from(
      lossInputs.target_tokens.data,
      (token, row) => data[row * this.#vocabulary + token]!,
    );
    return { data: logprobs, shape: [logprobs.length] };
  }

  #draw(
    prompt: readonly number[] | Int32Array,
    params: SamplingParams,
    index: number,
    current: boolean,
  ): SampledSequence {
    const { max_tokens, temperature = 1, seed = 0, stop = [] } = params;
    const tokens: number[] = [];
    const logprobs: number[] = [];
    let last = prompt.at(-1)!;
    for (let state = seed * 7919 + index + 1; tokens.length < max_tokens && !stop.includes(last); ) {
      state = (state * 48271) % 2147483647;
      const row = this.#logprobs(last, current);
      const shares = row.map((logprob) => Math.exp(logprob / temperature));
      let rest = (state / 2147483647) * shares.reduce((sum, x) => sum + x, 0);
      last = shares.findIndex((x) => {
        rest -= x;
        return rest < 0;
      });
      if (last < 0) last = this.#vocabulary - 1;
      tokens.push(last);
      logprobs.push(row[last]!);
    }
    return {
      tokens: Int32Array.from(tokens),
      logprobs: Float32Array.from(logprobs),
      stop_reason: stop.includes(last) ? "stop" : "length",
    };
  }
}

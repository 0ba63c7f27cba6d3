import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Datum, rowCount } from "../../src/data/datum.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import type { AddPart, Measured, Span } from "../../src/loss/contract.ts";
import type {
  AdamParams,
  AdapterMatrices,
  MatrixMeasured,
  SampledSequence,
  SamplingClient,
  SamplingParams,
  Snapshot,
  TrainingClient,
  VocabularyModel,
} from "../../src/model/contract.ts";
import { AdamW } from "./adamw.ts";

export interface TableOptions {
  readonly vocabulary: number;
  readonly seed?: number;
  /** At most so many datums are handed to a loss at once. */
  readonly atOnce?: number;
  /** At most so many positions of a datum are handed to a loss at once. */
  readonly rowsAtOnce?: number;
}

type TableSampler = SamplingClient & Pick<VocabularyModel, "distributions">;

/**
 * A real, tiny language model: the logits of the next token are one row of a table, base[token] + delta[token]. Only
 * delta trains, with true gradients and AdamW in float64, so that whole training runs take milliseconds.
 */
export class TableModel implements TrainingClient {
  readonly base: Float64Array;
  readonly delta: Float64Array;
  readonly gradient: Float64Array;
  readonly #zeros: Float64Array;
  readonly #vocabulary: number;
  readonly #atOnce: number;
  readonly #rowsAtOnce: number;
  readonly #optimizer: AdamW;
  /** How many datums the base's distribution was asked for: what a reference costs. */
  baseLooks = 0;

  constructor({
    vocabulary,
    seed = 1,
    atOnce = Number.POSITIVE_INFINITY,
    rowsAtOnce = Number.POSITIVE_INFINITY,
  }: TableOptions) {
    const size = vocabulary * vocabulary;
    this.#vocabulary = vocabulary;
    this.#atOnce = atOnce;
    this.#rowsAtOnce = rowsAtOnce;
    this.base = Float64Array.from({ length: size }, (_, i) => 2 * Math.sin((i + 1) * 12.9898 * seed));
    this.delta = new Float64Array(size);
    this.gradient = new Float64Array(size);
    this.#zeros = new Float64Array(size);
    this.#optimizer = new AdamW(size);
  }

  readonly manyTargets = true;

  async forward(data: readonly Datum[]): Promise<readonly Tensor[]> {
    return data.map((datum) => this.#targets(datum, this.#distribution(datum, this.delta)));
  }

  async forwardBackward(): Promise<void> {
    throw new Error("a model with whole distributions is trained by them");
  }

  readonly vocabulary = {
    forwardBackward: async (data: readonly Datum[], add: AddPart): Promise<void> => {
      for (let from = 0; from < data.length; from += Math.min(this.#atOnce, data.length)) {
        for (const spans of this.#spans(data, from, Math.min(data.length, from + this.#atOnce))) {
          const logprobs = spans.map((span) => this.#rows(data[span.index]!, span));
          const gradient = logprobs.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
          await add({ spans, logprobs }, { gradient, scale: 1 });
          for (const [i, { index, from, to }] of spans.entries()) {
            for (let row = from; row < to; row++) {
              const into = this.#lastRead(data[index]!, row) * this.#vocabulary;
              const own = gradient[i]!.data.subarray((row - from) * this.#vocabulary);
              for (let v = 0; v < this.#vocabulary; v++) this.gradient[into + v]! += own[v]!;
            }
          }
        }
      }
    },
  };

  /** The table of changes stands for both matrices of an adapter, in halves. */
  readonly matrices = {
    backward: async (loss: (matrices: AdapterMatrices) => MatrixMeasured): Promise<Measured> => {
      const half = this.delta.length / 2;
      const names = ["table.lora_A.weight", "table.lora_B.weight"];
      const matrices = names.map((name, i) => {
        const data = Float32Array.from(this.delta.subarray(i * half, (i + 1) * half));
        return [name, { data, shape: i === 0 ? [2, half / 2] : [half / 2, 2] }] as const;
      });
      const { gradient, ...measured } = loss(new Map(matrices));
      for (const [i, name] of names.entries())
        gradient.get(name)?.data.forEach((own, k) => {
          this.gradient[i * half + k]! += own;
        });
      return measured;
    },
  };

  async optimStep(params: AdamParams) {
    return { grad_norm: this.#optimizer.update(this.delta, this.gradient, params) };
  }

  async saveAdapter(folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "delta.json"), JSON.stringify([...this.delta]));
  }

  sampler(weights: "current" | "base"): TableSampler {
    return weights === "current"
      ? this.#samplerOver(this.delta)
      : this.#samplerOver(this.#zeros, (datums) => (this.baseLooks += datums));
  }

  readonly snapshots = {
    take: (): Snapshot => this.snapshots.restore(new Map([["delta", exactly(this.delta)]])),
    restore: (tensors: ReadonlyMap<string, Tensor>): Snapshot =>
      Object.assign(this.#samplerOver(numbersOf(tensors.get("delta")!)), { tensors }),
  };

  readonly state = {
    read: async (): Promise<ReadonlyMap<string, Tensor>> => {
      const { mean, variance, steps } = this.#optimizer;
      return new Map([
        ["delta", exactly(this.delta)],
        ["mean", exactly(mean)],
        ["variance", exactly(variance)],
        ["steps", exactly(Float64Array.of(steps))],
      ]);
    },
    write: async (tensors: ReadonlyMap<string, Tensor>): Promise<void> => {
      this.delta.set(numbersOf(tensors.get("delta")!));
      this.#optimizer.mean.set(numbersOf(tensors.get("mean")!));
      this.#optimizer.variance.set(numbersOf(tensors.get("variance")!));
      this.#optimizer.steps = numbersOf(tensors.get("steps")!)[0]!;
      this.gradient.fill(0);
    },
  };

  #samplerOver(delta: Float64Array, look?: (datums: number) => void): TableSampler {
    return {
      sample: async (prompts, params) => prompts.map((prompt, i) => this.#draw(prompt, params, i, delta)),
      computeLogprobs: async () => {
        throw new Error("training has no use for this");
      },
      distributions: async (data) => {
        look?.(data.length);
        return data.map((datum) => this.#distribution(datum, delta));
      },
    };
  }

  /** The spans of neighbouring datums, whole ones together, or as few positions as are allowed. */
  #spans(data: readonly Datum[], first: number, end: number): Span[][] {
    if (this.#rowsAtOnce === Number.POSITIVE_INFINITY) {
      return [data.slice(first, end).map((datum, i) => ({ index: first + i, from: 0, to: rowCount(datum) }))];
    }
    return data.slice(first, end).flatMap((datum, i) => {
      const count = rowCount(datum);
      const starts = Array.from({ length: Math.ceil(count / this.#rowsAtOnce) }, (_, n) => n * this.#rowsAtOnce);
      return starts.map((from) => [{ index: first + i, from, to: Math.min(count, from + this.#rowsAtOnce) }]);
    });
  }

  #rows(datum: Datum, { from, to }: Span): Tensor {
    const { data } = this.#distribution(datum, this.delta);
    return { data: data.slice(from * this.#vocabulary, to * this.#vocabulary), shape: [to - from, this.#vocabulary] };
  }

  #lastRead({ modelInput, lossInputs }: Datum, row: number): number {
    return modelInput[lossInputs.positions?.data[row] ?? row]!;
  }

  #distribution(datum: Datum, delta: Float64Array): Tensor {
    const rows = Array.from({ length: rowCount(datum) }, (_, row) => this.#logprobs(this.#lastRead(datum, row), delta));
    return { data: Float32Array.from(rows.flat()), shape: [rows.length, this.#vocabulary] };
  }

  #logprobs(token: number, delta: Float64Array): number[] {
    const at = token * this.#vocabulary;
    const logits = Array.from({ length: this.#vocabulary }, (_, v) => this.base[at + v]! + delta[at + v]!);
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
    delta: Float64Array,
  ): SampledSequence {
    const { max_tokens, temperature = 1, seed = 0, stop = [] } = params;
    const tokens: number[] = [];
    const logprobs: number[] = [];
    let last = prompt.at(-1)!;
    for (let state = seed * 7919 + index + 1; tokens.length < max_tokens && !stop.includes(last); ) {
      state = (state * 48271) % 2147483647;
      const row = this.#logprobs(last, delta);
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

/** Numbers of 64 bits as a tensor, which holds numbers of 32: the two halves of each one's bits, in memory of their own. */
function exactly(numbers: Float64Array): Tensor {
  return { data: new Float32Array(numbers.slice().buffer), shape: [numbers.length, 2] };
}

/** The numbers that `exactly` was given. */
function numbersOf({ data }: Tensor): Float64Array {
  return new Float64Array(data.slice().buffer);
}

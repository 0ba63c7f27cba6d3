import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../../src/common/random.ts";
import { type Datum, rowCount } from "../../../src/data/datum.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import type { AddPart } from "../../../src/loss/contract.ts";
import { itemsOf, wholeSpans } from "../../../src/loss/items.ts";
import type {
  AdamParams,
  Engine,
  SampledSequence,
  SamplingClient,
  SamplingParams,
  Snapshot,
  Tokens,
  TrainingClient,
} from "../../../src/model/contract.ts";
import { AdamW } from "../../train/adamw.ts";

export const VOCABULARY = 6;
const SIZE = VOCABULARY * VOCABULARY;
const BASE = Float64Array.from({ length: SIZE }, (_, i) => Math.sin(i + 1));

/** Log-probabilities of the token after `last`: log-softmax of a row of base + delta. */
function logprobsAfter(last: number, delta: Float64Array): Float64Array {
  if (last < 0 || last >= VOCABULARY) throw new Error(`token ${last} is not in the vocabulary of ${VOCABULARY}`);
  const at = last * VOCABULARY;
  const logits = Float64Array.from({ length: VOCABULARY }, (_, v) => BASE[at + v]! + delta[at + v]!);
  const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - logSum);
}

const lastRead = ({ modelInput, lossInputs: { positions } }: Datum, row: number) =>
  modelInput[positions?.data[row] ?? row]!;

function targetLogprobs(datum: Datum, delta: Float64Array): Tensor {
  const data = Float32Array.from(
    datum.lossInputs.target_tokens.data,
    (token, row) => logprobsAfter(lastRead(datum, row), delta)[token]!,
  );
  return { data, shape: [data.length] };
}

/**
 * A real language model of 36 parameters, a softmax regression on the last token, with exact gradients and AdamW. It gives
 * the log-probabilities of targets alone, as most servers do.
 */
export class Bigram implements TrainingClient {
  readonly manyTargets = true;
  readonly delta = new Float64Array(SIZE);
  readonly gradient = new Float64Array(SIZE);
  readonly #optimizer = new AdamW(SIZE);
  /** What was asked of it, in order. */
  readonly calls: string[] = [];

  async forward(data: readonly Datum[]): Promise<Tensor[]> {
    this.calls.push("forward");
    return data.map((datum) => targetLogprobs(datum, this.delta));
  }

  async forwardBackward(data: readonly Datum[], add: AddPart): Promise<void> {
    this.calls.push(`forwardBackward ${data.length}`);
    const logprobs = data.map((datum) => targetLogprobs(datum, this.delta));
    const gradient = logprobs.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
    await add({ spans: wholeSpans(itemsOf(data)), logprobs }, { gradient, scale: 1 });
    data.forEach((datum, i) => {
      this.#addGradient(datum, gradient[i]!.data);
    });
  }

  /** `g[position]` is ∂loss/∂logprob of its target; log-softmax turns it into the gradient of the logits. */
  #addGradient(datum: Datum, g: Float32Array): void {
    for (let position = 0; position < rowCount(datum); position++) {
      const last = lastRead(datum, position);
      const logprobs = logprobsAfter(last, this.delta);
      const target = datum.lossInputs.target_tokens.data[position]!;
      logprobs.forEach((logprob, v) => {
        this.gradient[last * VOCABULARY + v]! += g[position]! * ((v === target ? 1 : 0) - Math.exp(logprob));
      });
    }
  }

  async optimStep(params: AdamParams) {
    this.calls.push("optimStep");
    return { grad_norm: this.#optimizer.update(this.delta, this.gradient, params) };
  }

  readonly folders = {
    saveAdapter: async (folder: string): Promise<void> => {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "delta.json"), JSON.stringify([...this.delta]));
    },
    saveState: async (folder: string): Promise<void> => {
      await this.folders.saveAdapter(folder);
      const { mean, variance, steps } = this.#optimizer;
      await writeFile(join(folder, "moments.json"), JSON.stringify([[...mean], [...variance], [steps]]));
    },
    loadState: async (folder: string): Promise<void> => {
      this.delta.set(await readDelta(folder));
      const [mean, variance, [steps]] = JSON.parse(await readFile(join(folder, "moments.json"), "utf8")) as [
        number[],
        number[],
        [number],
      ];
      this.#optimizer.mean.set(mean);
      this.#optimizer.variance.set(variance);
      this.#optimizer.steps = steps;
    },
  };

  readonly snapshots = {
    take: (): Snapshot =>
      this.snapshots.restore(new Map([["delta", { data: Float32Array.from(this.delta), shape: [SIZE] }]])),
    restore: (tensors: ReadonlyMap<string, Tensor>): Snapshot =>
      Object.assign(new BigramSampler(Float64Array.from(tensors.get("delta")!.data)), { tensors }),
  };

  sampler(weights: "current" | "base"): BigramSampler {
    return new BigramSampler(weights === "current" ? this.delta : new Float64Array(SIZE));
  }
}

async function readDelta(folder: string): Promise<Float64Array> {
  return Float64Array.from(JSON.parse(await readFile(join(folder, "delta.json"), "utf8")) as number[]);
}

class BigramSampler implements SamplingClient {
  readonly #delta: Float64Array;

  constructor(delta: Float64Array) {
    this.#delta = delta;
  }

  async sample(
    prompts: readonly Tokens[],
    { max_tokens, temperature = 1, seed = 0, stop = [] }: SamplingParams,
  ): Promise<SampledSequence[]> {
    return prompts.map((prompt, i) => {
      const random = createRandom(seed * 1009 + i);
      const tokens: number[] = [];
      const logprobs: number[] = [];
      let last = prompt.at(-1)!;
      while (tokens.length < max_tokens && !(tokens.length > 0 && stop.includes(last))) {
        const row = logprobsAfter(last, this.#delta);
        if (temperature === 0) last = row.indexOf(Math.max(...row));
        else {
          const shares = row.map((logprob) => Math.exp(logprob / temperature));
          let rest = random() * shares.reduce((sum, share) => sum + share, 0);
          last = shares.findIndex((share) => {
            rest -= share;
            return rest < 0;
          });
        }
        tokens.push(last);
        logprobs.push(row[last]!);
      }
      const stop_reason = stop.includes(last) ? ("stop" as const) : ("length" as const);
      return { tokens: Int32Array.from(tokens), logprobs: Float32Array.from(logprobs), stop_reason };
    });
  }

  async computeLogprobs(texts: readonly Tokens[]) {
    return texts.map((text) =>
      Float32Array.from(text, (token, i) => (i === 0 ? Number.NaN : logprobsAfter(text[i - 1]!, this.#delta)[token]!)),
    );
  }

  async distributions(data: readonly Datum[]) {
    return data.map((datum) => {
      const rows = Array.from({ length: rowCount(datum) }, (_, row) => [
        ...logprobsAfter(lastRead(datum, row), this.#delta),
      ]);
      return { data: Float32Array.from(rows.flat()), shape: [rows.length, VOCABULARY] };
    });
  }
}

/** An engine of bigrams, called "models/bigram"; `clients` are those that were created, `starts` what they were asked to be. */
export function bigramEngine(): Engine & { readonly clients: Bigram[]; readonly starts: object[] } {
  const clients: Bigram[] = [];
  const starts: object[] = [];
  return {
    clients,
    starts,
    model: { name: "models/bigram", vocabSize: VOCABULARY, maxPositions: Number.POSITIVE_INFINITY },
    trainingClient: async (start = {}) => {
      const client = new Bigram();
      if ("adapter" in start) client.delta.set(await readDelta(start.adapter));
      starts.push(start);
      clients.push(client);
      return client;
    },
    sampler: async (adapter) =>
      new BigramSampler(adapter === undefined ? new Float64Array(SIZE) : await readDelta(adapter)),
    close: async () => {},
  };
}

/** A datum with a position at every token. */
export function datum(
  tokens: readonly number[],
  targets: readonly number[],
  weights: readonly number[] = targets.map(() => 1),
): Datum {
  return {
    modelInput: Int32Array.from(tokens),
    lossInputs: {
      target_tokens: { data: Int32Array.from(targets), shape: [targets.length] },
      weights: { data: Float32Array.from(weights), shape: [targets.length] },
    },
  };
}

export const adam = { learning_rate: 0.1, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };

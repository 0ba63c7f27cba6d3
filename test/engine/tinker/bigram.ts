import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../../src/common/random.ts";
import { type Datum, rowCount } from "../../../src/data/datum.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import type {
  AdamParams,
  CustomLoss,
  CustomOutput,
  ForwardOutput,
  SamplingClient,
  TrainingClient,
} from "../../../src/model/legacy.ts";
import type { ServedEngine } from "../../../src/server/index.ts";
import { AdamW } from "../../train/adamw.ts";

type Tokens = readonly number[] | Int32Array;

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

/** A real language model of 36 parameters, a softmax regression on the last token, with exact gradients and AdamW. */
export class Bigram implements TrainingClient {
  readonly delta = new Float64Array(SIZE);
  readonly gradient = new Float64Array(SIZE);
  readonly #optimizer = new AdamW(SIZE);
  /** What was asked of it, in order. */
  readonly calls: string[] = [];

  async forward(data: readonly Datum[]): Promise<ForwardOutput> {
    this.calls.push("forward");
    const logprobs = data.map((datum) => targetLogprobs(datum, this.delta));
    const loss = data.reduce(
      (sum, { lossInputs: { weights } }, i) =>
        sum - weights.data.reduce((s, w, row) => s + w * logprobs[i]!.data[row]!, 0),
      0,
    );
    return { logprobs, metrics: { "loss:sum": loss } };
  }

  async forwardBackward(data: readonly Datum[]): Promise<ForwardOutput> {
    const output = await this.forward(data);
    this.calls[this.calls.length - 1] = `forwardBackward ${data.length}`;
    for (const datum of data)
      this.#addGradient(
        datum,
        datum.lossInputs.weights.data.map((w) => -w),
      );
    return output;
  }

  async forwardBackwardCustom(data: readonly Datum[], { compute }: CustomLoss): Promise<CustomOutput> {
    const { logprobs } = await this.forward(data);
    const { loss, gradient, metrics } = await compute(data, logprobs);
    data.forEach((datum, i) => {
      this.#addGradient(datum, gradient[i]!.data);
    });
    return { loss, metrics };
  }

  /** `slopes[row]` is ∂loss/∂logprob of the row's target; log-softmax turns it into slopes of the logits. */
  #addGradient(datum: Datum, slopes: Float32Array): void {
    for (let row = 0; row < rowCount(datum); row++) {
      const last = lastRead(datum, row);
      const logprobs = logprobsAfter(last, this.delta);
      const target = datum.lossInputs.target_tokens.data[row]!;
      logprobs.forEach((logprob, v) => {
        this.gradient[last * VOCABULARY + v]! += slopes[row]! * ((v === target ? 1 : 0) - Math.exp(logprob));
      });
    }
  }

  async backwardAdapter(): Promise<never> {
    throw new Error("a table has no adapter");
  }

  async optimStep(params: AdamParams) {
    this.calls.push("optimStep");
    return { grad_norm: this.#optimizer.update(this.delta, this.gradient, params) };
  }

  async saveAdapter(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "delta.json"), JSON.stringify([...this.delta]));
  }

  async saveState(folder: string): Promise<void> {
    await this.saveAdapter(folder);
    const { mean, variance, steps } = this.#optimizer;
    await writeFile(join(folder, "moments.json"), JSON.stringify([[...mean], [...variance], [steps]]));
  }

  async loadState(folder: string): Promise<void> {
    this.delta.set(await readDelta(folder));
    const [mean, variance, [steps]] = JSON.parse(await readFile(join(folder, "moments.json"), "utf8")) as [
      number[],
      number[],
      [number],
    ];
    this.#optimizer.mean.set(mean);
    this.#optimizer.variance.set(variance);
    this.#optimizer.steps = steps;
  }

  sampler(weights: "current" | "base"): SamplingClient {
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
    { max_tokens, temperature = 1, seed = 0, stop = [] }: Parameters<SamplingClient["sample"]>[1],
  ) {
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

/** Serves bigrams under the name "bigram"; `clients` are those that were created. */
export function bigramEngine(): ServedEngine & { readonly clients: Bigram[] } {
  const clients: Bigram[] = [];
  return {
    clients,
    models: [{ model_name: "bigram" }],
    createTrainingClient: async ({ adapter }) => {
      const client = new Bigram();
      if (adapter !== undefined) client.delta.set(await readDelta(adapter));
      clients.push(client);
      return client;
    },
    createSampler: async (_, adapter) =>
      new BigramSampler(adapter === undefined ? new Float64Array(SIZE) : await readDelta(adapter)),
  };
}

/** A datum with a row at every token. */
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

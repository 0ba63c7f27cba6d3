/** @file Models and data made for a test, and what is compared of them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRandom, randomInteger } from "../../../src/common/random.ts";
import { type Datum, rowCount } from "../../../src/data/datum.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import type { ModelConfig } from "../../../src/engine/families/model-config.ts";
import { weightShapes } from "../../../src/engine/families/weights.ts";
import type { LocalModelOptions } from "../../../src/engine/local/base-model.ts";
import type { LocalClient } from "../../../src/engine/local/client.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { TrainingClient } from "../../../src/model/contract.ts";

export const TINY: ModelConfig = {
  vocabSize: 12,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  ropeTheta: 100,
  normEpsilon: 1e-5,
  maxPositions: 32,
  tied: false,
  architecture: "LlamaForCausalLM",
};

export function randomWeights(config: ModelConfig, seed = 1): Map<string, Tensor> {
  const random = createRandom(seed);
  const weights = new Map<string, Tensor>();
  for (const [name, shape] of weightShapes(config)) {
    const size = shape.reduce((product, n) => product * n, 1);
    const middle = name.includes("norm") ? 1 : 0;
    weights.set(name, { data: Float32Array.from({ length: size }, () => middle + (random() * 2 - 1) * 0.8), shape });
  }
  return weights;
}

/** A model of twelve tokens whose distributions are far from even. */
export function tinyModel(changes: Partial<ModelConfig> = {}, options: LocalModelOptions = {}): Promise<LocalModel> {
  const config = { ...TINY, ...changes };
  return LocalModel.of("tiny", config, randomWeights(config), { threads: 1, ...options });
}

/** The config.json of such a model. */
export function configJson(config: ModelConfig, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    architectures: [config.architecture],
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    rope_theta: config.ropeTheta,
    rms_norm_eps: config.normEpsilon,
    max_position_embeddings: config.maxPositions,
    tie_word_embeddings: config.tied,
    ...changes,
  };
}

export function writeJson(folder: string, name: string, json: unknown): void {
  writeFileSync(join(folder, name), JSON.stringify(json));
}

/** Random data of these lengths with uneven weights, some 0. */
export function randomData(lengths: readonly number[], vocabSize: number, seed = 1): Datum[] {
  const random = createRandom(seed);
  return lengths.map((length, i) => {
    const tokens = () => Int32Array.from({ length }, () => randomInteger(random, vocabSize));
    return {
      modelInput: tokens(),
      lossInputs: {
        target_tokens: { data: tokens(), shape: [length] },
        weights: {
          data: Float32Array.from({ length }, () => (random() < 0.25 ? 0 : 0.5 + random())),
          shape: [length],
        },
      },
      source: `test.jsonl:${i + 1}`,
    };
  });
}

export function reweighted(datum: Datum, weights: (row: number) => number): Datum {
  const data = Float32Array.from({ length: rowCount(datum) }, (_, row) => weights(row));
  return { ...datum, lossInputs: { ...datum.lossInputs, weights: { data, shape: [data.length] } } };
}

/** Adds the gradient of −Σ w·log p, by the log-probabilities of targets alone. Gives the loss, and them, [M] per datum. */
export async function addLikelihood(
  client: Pick<TrainingClient, "forwardBackward">,
  data: readonly Datum[],
): Promise<{ loss: number; logprobs: Float32Array[] }> {
  const logprobs = data.map((datum) => new Float32Array(rowCount(datum)).fill(Number.NaN));
  let loss = 0;
  await client.forwardBackward(data, (part, { gradient, scale }) => {
    for (const [i, { index, from, to }] of part.spans.entries()) {
      logprobs[index]!.set(part.logprobs[i]!.data, from);
      for (let position = from; position < to; position++) {
        const weight = data[index]!.lossInputs.weights.data[position]!;
        if (weight !== 0) loss -= weight * logprobs[index]![position]!;
        gradient[i]!.data[position - from]! -= scale * weight;
      }
    }
  });
  return { loss, logprobs };
}

/** −Σ w·log p of log-probabilities of targets. */
export function likelihoodOf(data: readonly Datum[], logprobs: readonly Tensor[]): number {
  const terms = data.flatMap(({ lossInputs: { weights } }, i) =>
    [...weights.data].map((w, m) => -w * logprobs[i]!.data[m]!),
  );
  return terms.reduce((sum, term) => sum + term, 0);
}

/** A copy of everything that a client has accumulated, one after the other. */
export function gradientOf({ parameters }: LocalClient): Float64Array {
  return Float64Array.from([...parameters.values()].flatMap(({ gradient }) => [...gradient]));
}

export function clearGradient({ parameters }: LocalClient): void {
  for (const { gradient } of parameters.values()) gradient.fill(0);
}

export function norm(vector: ArrayLike<number>): number {
  return Math.hypot(...Array.from(vector));
}

/** ‖found − expected‖ / ‖expected‖ */
export function relativeDistance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) throw new Error(`${found.length} numbers, expected ${expected.length}`);
  return norm(Array.from(found, (x, i) => x - expected[i]!)) / norm(expected);
}

/** max |found − expected| */
export function worstDifference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) throw new Error(`${found.length} numbers, expected ${expected.length}`);
  return Array.from(found).reduce((worst, x, i) => Math.max(worst, Math.abs(x - expected[i]!)), 0);
}

/**
 * d loss / dt of data + t·direction at 0: central differences of two widths, combined so that the error is of order h⁴.
 */
export async function derivativeAlong(
  data: Float32Array,
  direction: ArrayLike<number>,
  h: number,
  loss: () => Promise<number>,
): Promise<number> {
  const start = data.slice();
  const at = async (t: number) => {
    for (let i = 0; i < data.length; i++) data[i] = start[i]! + t * direction[i]!;
    return loss();
  };
  const central = async (width: number) => ((await at(width)) - (await at(-width))) / (2 * width);
  const derivative = (4 * (await central(h)) - (await central(2 * h))) / 3;
  data.set(start);
  return derivative;
}

/**
 * How far a gradient is from finite differences, relative to its norm: along itself, where its length shows, and along
 * directions at random, where anything that it lacks shows.
 */
export async function gradientError(
  data: Float32Array,
  gradient: ArrayLike<number>,
  h: number,
  loss: () => Promise<number>,
  random = createRandom(5),
): Promise<number> {
  const length = norm(gradient);
  const self = Array.from(gradient, (g) => g / length);
  let worst = 0;
  for (let trial = 0; trial < 3; trial++) {
    const noise = Array.from(gradient, () => random() * 2 - 1);
    const direction = trial === 0 ? self : noise.map((x) => x / norm(noise));
    const expected = direction.reduce((sum, x, i) => sum + x * gradient[i]!, 0);
    worst = Math.max(worst, Math.abs((await derivativeAlong(data, direction, h, loss)) - expected) / length);
  }
  return worst;
}

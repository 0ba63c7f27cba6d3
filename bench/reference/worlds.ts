import { fileURLToPath } from "node:url";
import { createRandom } from "../../src/common/random.ts";
import { loadDataset } from "../../src/data/dataset.ts";
import { type Datum, everyToken } from "../../src/data/datum.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import type { ModelConfig } from "../../src/engine/families/model-config.ts";
import { weightShapes } from "../../src/engine/families/weights.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";

/** @file Models to measure on, each with texts for it. */

export interface World {
  readonly name: string;
  readonly model: LocalModel;
  readonly data: readonly Datum[];
  /** Texts per step. */
  readonly batchSize: number;
}

const FOLDER = fileURLToPath(new URL("../../models/small-world", import.meta.url));
const TRAIN = fileURLToPath(new URL("../../data/small-world/task/train.jsonl", import.meta.url));
const STORIES = fileURLToPath(new URL("../../data/small-world/stories.jsonl", import.meta.url));

/** The shipped model on its task: completions alone have rows. With `stories`, on texts of which every token is one. */
export async function smallWorld(threads: number, stories = false): Promise<World> {
  const model = await LocalModel.open(FOLDER, { threads });
  const { vocabSize, maxPositions } = model.config;
  const limits = { vocabSize, maxLength: maxPositions };
  const data = await loadDataset(stories ? STORIES : TRAIN, loadTokenizer(FOLDER), limits);
  return { name: stories ? "small-world, stories" : "small-world, task", model, data, batchSize: 16 };
}

/** A model of random weights with a vocabulary of 49,152: as narrow as the shipped one, or of SmolLM2-135M's shape. */
export async function randomModel(shape: "narrow" | "135M", threads: number): Promise<World> {
  const narrow = {
    hiddenSize: 128,
    intermediateSize: 384,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 32,
  };
  const smol = { hiddenSize: 576, intermediateSize: 1536, layers: 30, heads: 9, kvHeads: 3, headDim: 64 };
  const config: ModelConfig = {
    ...(shape === "narrow" ? narrow : smol),
    architecture: "LlamaForCausalLM",
    vocabSize: 49_152,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
    maxPositions: 2048,
    tied: true,
  };
  const random = createRandom(1);
  const weights = new Map<string, Tensor>(
    [...weightShapes(config)].map(([name, shape]) => {
      const size = shape.reduce((total, n) => total * n, 1);
      const weight = () => (shape.length === 1 ? 1 : (random() - 0.5) / 10);
      return [name, { data: Float32Array.from({ length: size }, weight), shape }];
    }),
  );
  const model = await LocalModel.of("random weights", config, weights, { threads });
  const data = Array.from({ length: 12 }, () =>
    everyToken(Array.from({ length: 65 }, () => Math.floor(random() * config.vocabSize))),
  );
  return { name: `49k vocabulary, ${shape}`, model, data, batchSize: 4 };
}

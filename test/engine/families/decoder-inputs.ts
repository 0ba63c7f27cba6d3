import type { Random } from "../../../src/common/random.ts";
import { buildDecoder } from "../../../src/engine/families/decoder.ts";
import { type Lora, toLora } from "../../../src/engine/families/lora.ts";
import type { ModelConfig } from "../../../src/engine/families/model-config.ts";
import { loraSettings } from "../../../src/model/lora.ts";
import { noise, type Tensor64, tabulate } from "../graph/tensor64.ts";

/** Small, and no two of its sizes are equal that could be confused. */
export const CONFIG: ModelConfig = {
  vocabSize: 11,
  hiddenSize: 6,
  intermediateSize: 10,
  layers: 2,
  heads: 6,
  kvHeads: 2,
  headDim: 4,
  ropeTheta: 100,
  normEpsilon: 1e-5,
  maxPositions: 16,
  tied: true,
  architecture: "LlamaForCausalLM",
};

export const SCALE = 1.7;
export const LORA: Lora = toLora(CONFIG, loraSettings({ rank: 2, alpha: 2 * SCALE, target_modules: "all-linear" }));

const GROUP = CONFIG.heads / CONFIG.kvHeads;
/** So low that e to its power is exactly 0, yet finite. */
const MASKED = -1e30;

/** Weights, LoRA matrices and rotary tables for both kinds of decoder. */
export function parameters(random: Random): Map<string, Tensor64> {
  const { weights, adapter } = buildDecoder(CONFIG, LORA);
  const feeds = new Map<string, Tensor64>();
  for (const [name, { shape }] of [...weights, ...adapter]) {
    const { data } = noise(random, shape as number[]);
    feeds.set(name, {
      data: name.includes("norm") ? data : data.map((x) => Math.fround(0.6 * x)),
      shape: shape as number[],
    });
  }
  const table = [CONFIG.maxPositions, CONFIG.headDim / 2];
  const angle = ([position, i]: readonly number[]) => position! * CONFIG.ropeTheta ** ((-2 * i!) / CONFIG.headDim);
  feeds.set(
    "cos",
    tabulate(table, (index) => Math.fround(Math.cos(angle(index)))),
  );
  feeds.set(
    "sin",
    tabulate(table, (index) => Math.fround(Math.sin(angle(index)))),
  );
  return feeds;
}

/** Inputs of a whole pass over [batch, length] tokens, without a cache; `embeddings` is [batch · length, hidden]. */
export function passInputs(embeddings: Tensor64, batch: number): Map<string, Tensor64> {
  const length = embeddings.shape[0]! / batch;
  return new Map([
    ["embeddings", embeddings],
    ["positions", tabulate([batch, length], ([, t]) => t!)],
    ["mask", tabulate([GROUP * length, length], ([row, seen]) => (seen! <= row! % length ? 0 : MASKED))],
  ]);
}

/** Inputs of a pass after `lengths[b]` tokens of sequence b, in a cache of so many columns. */
export function cachedInputs(embeddings: Tensor64, lengths: readonly number[], columns: number): Map<string, Tensor64> {
  const batch = lengths.length;
  const length = embeddings.shape[0]! / batch;
  return new Map([
    ["embeddings", embeddings],
    ["positions", tabulate([batch, length], ([b, t]) => lengths[b!]! + t!)],
    [
      "mask",
      tabulate([batch, 1, GROUP * length, columns + length], ([b, , row, column]) => {
        const isSeen = column! < columns ? column! < lengths[b!]! : column! - columns <= row! % length;
        return isSeen ? 0 : MASKED;
      }),
    ],
  ]);
}

/** Rows `from` to `to` of the first dimension. */
export function slice({ data, shape }: Tensor64, from: number, to: number): Tensor64 {
  const width = data.length / shape[0]!;
  return { data: data.slice(from * width, to * width), shape: [to - from, ...shape.slice(1)] };
}

/** One above the other. */
export function stack(parts: readonly Tensor64[]): Tensor64 {
  const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return {
    data: Float64Array.from(parts.flatMap(({ data }) => [...data])),
    shape: [rows, ...parts[0]!.shape.slice(1)],
  };
}

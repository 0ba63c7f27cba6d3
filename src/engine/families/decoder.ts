import { type Projection, projectionName } from "../../model/lora.ts";
import {
  add,
  concat,
  gemm,
  matmul,
  mul,
  reshape,
  rmsNorm,
  rope,
  silu,
  softmax,
  transpose,
} from "../graph/operators.ts";
import { input, type Value } from "../graph/value.ts";
import type { ModelConfig } from "./model-config.ts";

/** Which projections carry a LoRA pair, of what rank, and the factor on B·A. */
export interface Lora {
  readonly rank: number;
  readonly scale: number;
  readonly modules: readonly Projection[];
}

/** Embeddings in, final hidden states out; the head is applied outside, in chunks of rows. */
export interface Decoder {
  /** [tokens, hidden] where tokens = batch · length, row-major. */
  readonly embeddings: Value;
  readonly hidden: Value;
  /** Base weights by their names in the checkpoint. */
  readonly weights: ReadonlyMap<string, Value>;
  /** LoRA matrices by their names in PEFT's layout: A [rank, in], B [out, rank]. */
  readonly adapter: ReadonlyMap<string, Value>;
  /** With a cache: keys and values of each layer, old and new tokens together, [batch, kvHeads, context, headDim]. */
  readonly present: ReadonlyMap<string, Value>;
}

/** Dimensions of the decoder's inputs that are fed; all others follow from them. */
export const DECODER_DIMENSIONS = ["batch", "length"];

/** [out, in] of each projection. */
export function projectionShape(config: ModelConfig, projection: Projection): [number, number] {
  const { hiddenSize: d, intermediateSize: f, heads, kvHeads, headDim } = config;
  const shapes: Record<Projection, [number, number]> = {
    q_proj: [heads * headDim, d],
    k_proj: [kvHeads * headDim, d],
    v_proj: [kvHeads * headDim, d],
    o_proj: [d, heads * headDim],
    gate_proj: [f, d],
    up_proj: [f, d],
    down_proj: [d, f],
  };
  return shapes[projection];
}

/** PEFT's names of the two LoRA matrices beside a linear map. */
export function loraNames(module: string): { a: string; b: string } {
  return { a: `base_model.model.${module}.lora_A.weight`, b: `base_model.model.${module}.lora_B.weight` };
}

/**
 * The graph of a Llama decoder from embeddings to the normalised last hidden states.
 *
 * Query heads that share a key head are folded into the rows of one matrix (grouped-query attention without copies):
 * row g·length + t of `queries` is head g of the group at position t, and `mask` has these rows.
 *
 * @param lora `null`: the base model alone.
 * @param cached takes keys and values of earlier tokens as inputs `past.*` and hands out the extended ones, for
 * sampling; the mask is then given per sequence.
 * @see Touvron et al. 2023, LLaMA; Hu et al. 2021, LoRA
 */
export function buildDecoder(config: ModelConfig, lora: Lora | null, cached = false): Decoder {
  const { hiddenSize, heads, kvHeads, headDim, layers, normEpsilon } = config;
  const group = heads / kvHeads;
  const weights = new Map<string, Value>();
  const adapter = new Map<string, Value>();
  const present = new Map<string, Value>();
  const named = (map: Map<string, Value>, name: string, shape: number[]) => {
    const value = input(name, shape);
    map.set(name, value);
    return value;
  };

  const embeddings = input("embeddings", ["tokens", hiddenSize]);
  const positions = input("positions", ["batch", "length"], "int64");
  const cos = input("cos", ["positions", headDim / 2]);
  const sin = input("sin", ["positions", headDim / 2]);
  const mask = input("mask", cached ? ["batch", 1, "queries", "context"] : ["queries", "length"]);
  const context = cached ? "context" : "length";

  const norm = (x: Value, name: string) => rmsNorm(x, named(weights, `${name}.weight`, [hiddenSize]), normEpsilon);
  /** x·Wᵀ + scale·(x·Aᵀ)·Bᵀ + residual */
  const linear = (x: Value, layer: number, projection: Projection, residual?: Value) => {
    const module = projectionName(layer, projection);
    const [out, width] = projectionShape(config, projection);
    const weight = named(weights, `${module}.weight`, [out, width]);
    const y = gemm(x, weight, { transB: true, ...(residual && { c: residual }) });
    if (!lora?.modules.includes(projection)) return y;
    const names = loraNames(module);
    const a = named(adapter, names.a, [lora.rank, width]);
    const b = named(adapter, names.b, [out, lora.rank]);
    return gemm(gemm(x, a, { transB: true }), b, { transB: true, alpha: lora.scale, c: y });
  };
  const inSequences = (x: Value, width: number) => reshape(x, ["batch", "length", width]);
  const byKeyHead = (x: Value) => transpose(reshape(x, ["batch", "length", kvHeads, headDim]), [0, 2, 1, 3]);

  let x = embeddings;
  for (let layer = 0; layer < layers; layer++) {
    const name = `model.layers.${layer}`;
    const before = norm(x, `${name}.input_layernorm`);
    const q = rope(inSequences(linear(before, layer, "q_proj"), heads * headDim), positions, cos, sin);
    let k = byKeyHead(rope(inSequences(linear(before, layer, "k_proj"), kvHeads * headDim), positions, cos, sin));
    let v = byKeyHead(linear(before, layer, "v_proj"));
    if (cached) {
      const past = (what: string) => input(`past.${layer}.${what}`, ["batch", kvHeads, "past", headDim]);
      k = concat([past("key"), k], 2, context);
      v = concat([past("value"), v], 2, context);
      present.set(`present.${layer}.key`, k).set(`present.${layer}.value`, v);
    }
    const grouped = transpose(reshape(q, ["batch", "length", kvHeads, group, headDim]), [0, 2, 3, 1, 4]);
    const queries = reshape(grouped, ["batch", kvHeads, "queries", headDim]);
    const scores = matmul(queries, k, { transB: true, alpha: 1 / Math.sqrt(headDim) });
    const mixed = matmul(softmax(add(scores, mask)), v);
    const apart = transpose(reshape(mixed, ["batch", kvHeads, group, "length", headDim]), [0, 3, 1, 2, 4]);
    x = linear(reshape(apart, ["tokens", heads * headDim]), layer, "o_proj", x);
    const after = norm(x, `${name}.post_attention_layernorm`);
    x = linear(mul(silu(linear(after, layer, "gate_proj")), linear(after, layer, "up_proj")), layer, "down_proj", x);
  }
  return { embeddings, hidden: norm(x, "model.norm"), weights, adapter, present };
}

/** @file The parts that decoders are made of. Each finds its weights by their names in the checkpoint. */

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
  shift,
  silu,
  slice,
  softmax,
  transpose,
} from "../graph/operators.ts";
import type { Value } from "../graph/value.ts";
import type { Attention } from "./attention.ts";
import type { DecoderInputs } from "./decoder-inputs.ts";
import type { ModelConfig } from "./model-config.ts";

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

/** `name` is that of the norm, without `.weight`. */
export function norm(inputs: DecoderInputs, x: Value, name: string): Value {
  const { gainOffset, normEpsilon } = inputs.config;
  const gain = inputs.weight(`${name}.weight`);
  return rmsNorm(x, gainOffset ? shift(gain, gainOffset) : gain, normEpsilon);
}

/** x·Wᵀ + bias + scale·(x·Aᵀ)·Bᵀ + residual; bias and LoRA pair where the module has them. */
export function linear(inputs: DecoderInputs, x: Value, module: string, residual?: Value): Value {
  const bias = inputs.weights.get(`${module}.bias`);
  const c = bias ?? residual;
  const y = gemm(x, inputs.weight(`${module}.weight`), { transB: true, ...(c && { c }) });
  const pair = inputs.pair(module);
  const tuned = pair
    ? gemm(gemm(inputs.toA(module, x), pair.a, { transB: true }), pair.b, { transB: true, alpha: pair.scale, c: y })
    : y;
  return bias && residual ? add(tuned, residual) : tuned;
}

/**
 * Grouped-query self-attention of x [tokens, hidden], with norms on the heads of queries and keys where the family has
 * them (`q_norm`, `k_norm`), plus `residual`.
 *
 * Query heads that share a key head are folded into the rows of one matrix (no copies of keys): row g·length + t of
 * `queries` is head g of the group at position t, and the mask has these rows.
 */
export function attention(
  inputs: DecoderInputs,
  x: Value,
  layer: number,
  way: Attention,
  { residual }: { readonly residual?: Value } = {},
): Value {
  const { heads, kvHeads, headDim, scoreScale = 1 / Math.sqrt(headDim) } = inputs.config;
  const group = heads / kvHeads;
  const project = (projection: Projection) => linear(inputs, x, projectionName(layer, projection));
  const turned = (projected: Value, count: number, which: "q" | "k") => {
    const normed = headNorm(inputs, projected, count, `model.layers.${layer}.self_attn.${which}_norm`);
    if (!way.rope) return normed;
    const { cos, sin } = inputs.rotary(way);
    return rope(reshape(normed, ["batch", "length", count * headDim]), inputs.positions, cos, sin);
  };
  const byKeyHead = (rows: Value) => transpose(reshape(rows, ["batch", "length", kvHeads, headDim]), [0, 2, 1, 3]);

  const q = turned(project("q_proj"), heads, "q");
  const k = byKeyHead(turned(project("k_proj"), kvHeads, "k"));
  const v = byKeyHead(project("v_proj"));
  const grouped = transpose(reshape(q, ["batch", "length", kvHeads, group, headDim]), [0, 2, 3, 1, 4]);
  const queries = reshape(grouped, ["batch", kvHeads, "queries", headDim]);
  const scores = (keys: Value) => matmul(queries, keys, { transB: true, alpha: scoreScale });
  const past = inputs.past(layer, k, v);
  const mixed = past
    ? mixedWithPast(softmax(add(concat([scores(past.key), scores(k)], 3, "context"), inputs.mask(way))), past.value, v)
    : matmul(softmax(add(scores(k), inputs.mask(way))), v);
  const apart = transpose(reshape(mixed, ["batch", kvHeads, group, "length", headDim]), [0, 3, 1, 2, 4]);
  return linear(inputs, reshape(apart, ["tokens", heads * headDim]), projectionName(layer, "o_proj"), residual);
}

/** Σ shares · values over earlier and new tokens [.., queries, past + length], without putting the two in one place. */
function mixedWithPast(shares: Value, past: Value, now: Value): Value {
  const [ofPast, ofNow] = [slice(shares, 3, "first", "past"), slice(shares, 3, "last", "length")];
  return add(matmul(ofPast, past), matmul(ofNow, now));
}

/** A norm over each head of x [tokens, heads · headDim], if the family has one of this name. */
function headNorm(inputs: DecoderInputs, x: Value, heads: number, name: string): Value {
  if (!inputs.weights.has(`${name}.weight`)) return x;
  return norm(inputs, reshape(x, ["tokens", heads, inputs.config.headDim]), name);
}

/** down(activation(gate(x)) · up(x)) + residual, of x [tokens, hidden]. */
export function mlp(
  inputs: DecoderInputs,
  x: Value,
  layer: number,
  { residual, activation = silu }: { readonly residual?: Value; readonly activation?: (x: Value) => Value } = {},
): Value {
  const project = (projection: Projection) => linear(inputs, x, projectionName(layer, projection));
  const inner = mul(activation(project("gate_proj")), project("up_proj"));
  return linear(inputs, inner, projectionName(layer, "down_proj"), residual);
}

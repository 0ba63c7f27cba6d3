/** The seven linear maps of a decoder layer, by their names in the checkpoint, each with the block that it is in. */
const BLOCKS = {
  q_proj: "self_attn",
  k_proj: "self_attn",
  v_proj: "self_attn",
  o_proj: "self_attn",
  gate_proj: "mlp",
  up_proj: "mlp",
  down_proj: "mlp",
} as const;

/** The name of one. */
export type Projection = keyof typeof BLOCKS;

/** All of them, in the decoder's order: what PEFT calls "all-linear" on these models. */
export const PROJECTIONS = Object.keys(BLOCKS) as readonly Projection[];

export function projectionName(layer: number, projection: Projection): string {
  return `model.layers.${layer}.${BLOCKS[projection]}.${projection}`;
}

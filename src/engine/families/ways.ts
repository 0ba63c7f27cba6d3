import type { Attention } from "./attention.ts";
import type { ModelConfig } from "./model-config.ts";

/** The ways in which the layers of a model attend. */
export function waysOf({ attention, ropeTheta }: ModelConfig): readonly Attention[] {
  return attention?.ways ?? [{ name: "", window: null, rope: { theta: ropeTheta } }];
}

/** The way of one layer. */
export function wayOf(config: ModelConfig, layer: number): Attention {
  return waysOf(config)[config.attention?.layers[layer] ?? 0]!;
}

/**
 * The ways of these layers, equal ones together, for a model's configuration. The one way of most models, all tokens under
 * the plain rotary embedding of `ropeTheta`, is not written down.
 */
export function layerWays(
  layers: readonly Omit<Attention, "name">[],
  ropeTheta: number,
): Pick<ModelConfig, "attention"> {
  const keys = layers.map((layer) => JSON.stringify([layer.window, layer.rope]));
  const distinct = [...new Set(keys)];
  if (distinct.join() === JSON.stringify([null, { theta: ropeTheta }])) return {};
  const ways = distinct.map((key, i) => {
    const { window, rope } = layers[keys.indexOf(key)]!;
    return { name: distinct.length === 1 ? "" : `${i}`, window, rope };
  });
  return { attention: { ways, layers: keys.map((key) => distinct.indexOf(key)) } };
}

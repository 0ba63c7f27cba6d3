import { createHash } from "node:crypto";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { Adapter } from "../../families/adapter.ts";
import type { ModelConfig } from "../../families/model-config.ts";

/** `sha256:…` of a model's configuration and weights, the same however files hold them. */
export function modelDigest(config: ModelConfig, weights: ReadonlyMap<string, Tensor>): string {
  // Names and shapes of the weights tell families apart; stores written before there were several stay valid.
  return tensorsDigest(weights, { ...config, architecture: undefined });
}

/** `sha256:…` of all that an adapter does to a model: names and shapes of its matrices tell the modules and their ranks. */
export function adapterDigest({ rank, alpha, use_rslora, alpha_pattern, matrices }: Adapter): string {
  return tensorsDigest(matrices, { rank, alpha, use_rslora, alpha_pattern });
}

function tensorsDigest(tensors: ReadonlyMap<string, Tensor>, settings: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const name of [...tensors.keys()].sort()) {
    const { data, shape } = tensors.get(name)!;
    hash.update(`\n${name} ${shape.join("x")}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return `sha256:${hash.digest("hex")}`;
}

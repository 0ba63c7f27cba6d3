import type { Tensor } from "../../divergence/tensor.ts";
import type { ModelConfig } from "./model-folder.ts";

/** cos and sin of position · θ^(−2i/d), [positions, d/2], rounded to float32 at the steps where Hugging Face rounds. */
export function rotaryTables({ maxPositions, headDim, ropeTheta }: ModelConfig): Map<string, Tensor> {
  const half = headDim / 2;
  const shape = [maxPositions, half];
  const frequencies = Float32Array.from({ length: half }, (_, i) => 1 / Math.fround(ropeTheta ** ((2 * i) / headDim)));
  const angles = Float32Array.from(
    { length: maxPositions * half },
    (_, n) => Math.floor(n / half) * frequencies[n % half]!,
  );
  return new Map([
    ["cos", { data: angles.map(Math.cos), shape }],
    ["sin", { data: angles.map(Math.sin), shape }],
  ]);
}

import type { Tensor } from "../../divergence/tensor.ts";

/** cos and sin of position · θ^(−2i/d), each [positions, d/2], rounded to float32 at the steps where Hugging Face rounds. */
export function rotaryTables(headDim: number, ropeTheta: number, positions: number): { cos: Tensor; sin: Tensor } {
  const half = headDim / 2;
  const shape = [positions, half];
  const frequencies = Float32Array.from({ length: half }, (_, i) => 1 / Math.fround(ropeTheta ** ((2 * i) / headDim)));
  const angles = Float32Array.from(
    { length: positions * half },
    (_, n) => Math.floor(n / half) * frequencies[n % half]!,
  );
  return { cos: { data: angles.map(Math.cos), shape }, sin: { data: angles.map(Math.sin), shape } };
}

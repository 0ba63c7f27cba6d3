import type { Datum } from "../../src/data/datum.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";

/** A datum with one row per weight; its targets are all token 0 unless given. Any further loss inputs come last. */
export function datumOf(
  weights: readonly number[],
  more: Partial<Datum> & { targets?: readonly number[]; fields?: Record<string, Tensor> } = {},
): Datum {
  const { targets = weights.map(() => 0), fields, ...rest } = more;
  const shape = [weights.length];
  return {
    modelInput: new Int32Array(weights.length),
    lossInputs: {
      target_tokens: { data: Int32Array.from(targets), shape },
      weights: { data: Float32Array.from(weights), shape },
      ...fields,
    },
    ...rest,
  };
}

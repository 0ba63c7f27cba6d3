import type { Step } from "../../loss/contract.ts";
import type { Stateful } from "../../loss/state.ts";
import type { AdapterMatrices, MatrixMeasured } from "../../model/contract.ts";

/**
 * A penalty on the matrices of an adapter, whatever they are used on: the second kind of regularizer, beside those on the
 * model's distributions. Its positions are none, so a step of it is one call.
 */
export interface AdapterPenalty {
  /** Unique among the regularizers of a run; tells its metrics apart there. */
  readonly name: string;
  /** What it counts in a sum where no weight is given. Default 1. */
  readonly weight?: number | undefined;
  /** What changes from step to step, if anything does. */
  readonly state?: Stateful | undefined;
  compute(matrices: AdapterMatrices, step?: Step): MatrixMeasured;
}

/** Which matrices of each pair are penalized: A, B or both. */
export type Factors = "both" | "A" | "B";

/** Whether a matrix of that name is among the factors. */
export function isAmong(factors: Factors, name: string): boolean {
  return factors === "both" || name.includes(`.lora_${factors}.`);
}

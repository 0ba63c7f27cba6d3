import type { Tensor } from "../../divergence/tensor.ts";

/**
 * The matrices of a LoRA adapter by their names in PEFT's layout: `….q_proj.lora_A.weight` is A, [rank, in], and
 * `….q_proj.lora_B.weight` is B, [out, rank]; the projection is W + scale·B·A. Read them during the call only.
 */
export type AdapterMatrices = ReadonlyMap<string, Tensor>;

/** What a penalty on matrices returns. */
export interface MatrixPenalty {
  /** The scalar that training minimizes. */
  readonly loss: number;
  /** Its gradient, shaped like each matrix. A matrix that is left out has none. */
  readonly gradient: ReadonlyMap<string, Tensor>;
  /** Numbers to log. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * A penalty on the matrices of an adapter, whatever they are used on: the second kind of regularizer, beside those on the
 * model's distributions. It is computed once per step, not per batch or part.
 */
export interface AdapterPenalty {
  /** Unique among the regularizers of a run; prefixes its metrics there. */
  readonly name: string;
  compute(matrices: AdapterMatrices, options?: { readonly step?: number }): MatrixPenalty;
  /** Hears of each step once, with what was measured of it. */
  observe?(step: number, measured: Readonly<Record<string, number>>): void;
}

/** Which matrices of each pair are penalized: A, B or both. */
export type Factors = "both" | "A" | "B";

/** Whether a matrix of that name is among the factors. */
export function isAmong(factors: Factors, name: string): boolean {
  return factors === "both" || name.includes(`.lora_${factors}.`);
}

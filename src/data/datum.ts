import type { IntTensor, Tensor } from "../divergence/tensor.ts";

/**
 * The loss inputs of a datum, in Tinker's terms. A datum has M rows; row i asks for the prediction of
 * `target_tokens[i]` with weight `weights[i]`, made after the model has read `modelInput[0..positions[i]]`.
 */
export interface LossInputs {
  /** [M] the token that each row should predict. */
  readonly target_tokens: IntTensor;
  /** [M] loss weight of each row; a row of weight 0 contributes to nothing. */
  readonly weights: Tensor;
  /** [M] index into `modelInput` of the last token each row has read. Absent: M = N and row i sits at position i. */
  readonly positions?: IntTensor;
  /** Any named field with one entry (or one vector) per row, such as a reference's log-probabilities [M, V]. */
  readonly [field: string]: Tensor | IntTensor | undefined;
}

/** One training example: the tokens that the model reads and what each of its rows should predict. */
export interface Datum {
  /** N tokens, all of them read by the model (the last target is not among them). */
  readonly modelInput: Int32Array;
  readonly lossInputs: LossInputs;
  /** Where the datum came from, for messages: `train.jsonl:12`. */
  readonly source?: string;
}

/** How many rows the datum asks to be predicted. */
export function rowCount(datum: Datum): number {
  return datum.lossInputs.target_tokens.data.length;
}

/** Σ of all row weights of a batch: what every token mean divides by, once. */
export function totalWeight(data: readonly Datum[]): number {
  let total = 0;
  for (const datum of data) for (const weight of datum.lossInputs.weights.data) total += weight;
  return total;
}

/** The rows from `from` to before `to` of a tensor with one entry, or one vector, per row: a view, no copy. */
export function cutRows<T extends Tensor | IntTensor>({ data, shape }: T, from: number, to: number): T {
  const [, ...inner] = shape;
  const width = inner.reduce((product, n) => product * n, 1);
  return { data: data.subarray(from * width, to * width), shape: [to - from, ...inner] } as unknown as T;
}

/** A datum that asks for every token of a text but the first, with weight 1. */
export function everyToken(tokens: readonly number[] | Int32Array, source?: string): Datum {
  const targets = Int32Array.from(tokens.slice(1));
  const shape = [targets.length];
  return {
    modelInput: Int32Array.from(tokens.slice(0, -1)),
    lossInputs: {
      target_tokens: { data: targets, shape },
      weights: { data: new Float32Array(targets.length).fill(1), shape },
    },
    ...(source !== undefined && { source }),
  };
}

/** @file Between whole distributions and the log-probabilities of target tokens. */
import { type Datum, rowCount } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";

/** [M] the log-probability of each row's target, out of [M, V]. */
export function targetLogprobs({ lossInputs }: Datum, logprobs: Tensor): Tensor {
  const targets = lossInputs.target_tokens.data;
  const vocabulary = logprobs.shape[1]!;
  return {
    data: Float32Array.from(targets, (token, row) => logprobs.data[row * vocabulary + token]!),
    shape: [targets.length],
  };
}

/** −Σ w·log p over all rows. */
export function negativeLogLikelihood(data: readonly Datum[], logprobs: readonly Tensor[]): number {
  let sum = 0;
  data.forEach(({ lossInputs: { weights } }, i) => {
    for (let row = 0; row < weights.data.length; row++) {
      const weight = weights.data[row]!;
      if (weight !== 0) sum -= weight * logprobs[i]!.data[row]!;
    }
  });
  return sum;
}

/** Writes the gradient with respect to the logits [M, V] of a loss whose gradient at the target log-probabilities is g [M]: g·(onehot − p). */
export function throughLogSoftmax({ lossInputs }: Datum, logprobs: Tensor, g: Tensor, out: Float32Array): void {
  const vocabulary = logprobs.shape[1]!;
  lossInputs.target_tokens.data.forEach((token, row) => {
    const from = row * vocabulary;
    const scale = g.data[row]!;
    if (scale === 0) out.fill(0, from, from + vocabulary);
    else for (let i = from; i < from + vocabulary; i++) out[i] = -scale * Math.exp(logprobs.data[i]!);
    out[from + token]! += scale;
  });
}

/** A datum that asks for every token of a text but the first. */
export function everyToken(tokens: readonly number[] | Int32Array): Datum {
  const targets = Int32Array.from(tokens.slice(1));
  const shape = [targets.length];
  return {
    modelInput: Int32Array.from(tokens.slice(0, -1)),
    lossInputs: {
      target_tokens: { data: targets, shape },
      weights: { data: new Float32Array(targets.length).fill(1), shape },
    },
  };
}

/** Rows of each datum, cut out of a batch's. */
export function perDatum(
  data: readonly Datum[],
  offsets: readonly number[],
  rows: Float32Array,
  vocabulary: number,
): Tensor[] {
  return data.map((datum, i) => ({
    data: rows.subarray(offsets[i]! * vocabulary, offsets[i + 1]! * vocabulary),
    shape: [rowCount(datum), vocabulary],
  }));
}

import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { crossEntropyLoss } from "../loss/cross-entropy.ts";
import { backward } from "../model/backward.ts";
import type { TrainingClient } from "../model/contract.ts";

/** −Σ w·log p of the targets, and their log-probabilities. */
export interface Likelihood {
  readonly loss: number;
  /** [M] per datum, also of positions of weight 0. */
  readonly logprobs: readonly Float32Array[];
}

/** What a model says of data. */
export async function forwardLikelihood(client: TrainingClient, data: readonly Datum[]): Promise<Likelihood> {
  const logprobs = await client.forward(data);
  return { loss: negativeLogLikelihood(data, logprobs), logprobs: logprobs.map((each) => each.data) };
}

/** As `forwardLikelihood`, and adds the gradient. */
export async function backwardLikelihood(client: TrainingClient, data: readonly Datum[]): Promise<Likelihood> {
  const { value, positions = [] } = await backward(client, data, crossEntropyLoss({ reduction: "sum" }));
  const logprobs = new Map(data.map((datum) => [datum, new Float32Array(datum.lossInputs.weights.data.length)]));
  for (const { datum, from, values } of positions)
    logprobs.get(datum)!.set(
      values.map((loss) => -loss),
      from,
    );
  return { loss: value, logprobs: [...logprobs.values()] };
}

function negativeLogLikelihood(data: readonly Datum[], logprobs: readonly Tensor[]): number {
  let sum = 0;
  for (const [i, { lossInputs }] of data.entries()) {
    for (const [position, weight] of lossInputs.weights.data.entries()) {
      if (weight !== 0) sum -= weight * logprobs[i]!.data[position]!;
    }
  }
  return sum;
}

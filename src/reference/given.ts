import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { UserError } from "../errors.ts";
import type { Reference } from "./contract.ts";
import { formatDatum } from "./format-datum.ts";

/**
 * Log-probabilities computed before: one tensor [M, V] per datum, in the order of the data, or a map that knows each datum.
 * A tensor alone is the list of one. The map is the form for training, where batches and their parts change.
 */
export type GivenLogprobs = Tensor | readonly Tensor[] | ReadonlyMap<Datum, Tensor>;

/** A reference that is known already. */
export function givenReference(logprobs: GivenLogprobs, description = "referenceLogprobs"): Reference<Tensor> {
  return {
    description,
    resolve: async (data) =>
      logprobs instanceof Map
        ? fromMap(logprobs, data, description)
        : fromList(logprobs as Tensor | readonly Tensor[], data, description),
  };
}

function fromMap(logprobs: ReadonlyMap<Datum, Tensor>, data: readonly Datum[], description: string): Tensor[] {
  return data.map((datum, i) => {
    const found = logprobs.get(datum);
    if (!found)
      throw new UserError(
        `${description} has no log-probabilities for ${formatDatum(datum, i)}: put them into the map under that datum`,
      );
    return found;
  });
}

function fromList(
  logprobs: Tensor | readonly Tensor[],
  data: readonly Datum[],
  description: string,
): readonly Tensor[] {
  const list = "shape" in logprobs ? [logprobs] : logprobs;
  if (list.length !== data.length) {
    throw new UserError(
      `${description} has ${list.length} tensors for ${data.length} datums: give one per datum, or a Map from datum to tensor when batches change`,
    );
  }
  return list;
}

import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { VocabularyModel } from "../model/contract.ts";
import type { Reference } from "./contract.ts";
import { RowCache } from "./row-cache.ts";
import { namingReference, sharedReference } from "./shared-reference.ts";

/** A model as a reference needs it: any `SamplingClient` that has `distributions`. */
export type ReferenceModel = Pick<Partial<VocabularyModel>, "distributions" | "hidden" | "fromHidden">;

/** Bytes of final hidden states, or of distributions where a model has no states to offer, kept from step to step. */
const CACHE_BYTES = 256 << 20;

/**
 * A model that does not change, such as the base with the adapter switched off: exact over the whole vocabulary.
 *
 * A batch is read in one pass when a step begins. If the model has `hidden`, its final hidden states are cached, d numbers per
 * position instead of V, up to 256 MB: a text that training comes back to costs no pass of the decoder. Distributions are
 * computed from them for the spans asked for, never for the whole batch. A pass under way is not aborted, since a model must
 * not be closed during it.
 *
 * @param description for messages and the record of a run. Default `base`.
 * @throws UserError for a model without `distributions`, such as one on a server.
 * @example new KLDivergence({ reference: baseReference(client.sampler("base")) })
 */
export function baseReference(model: ReferenceModel, description = "base"): Reference<Tensor> {
  return modelReference(model, description, new RowCache(CACHE_BYTES));
}

/**
 * A model that changes from step to step, such as the one under training: as `baseReference`, but nothing is cached across
 * steps.
 *
 * @param description for messages. Default `the model itself`.
 * @throws UserError for a model without `distributions`, such as one on a server.
 * @example liveReference(client.sampler("current"), "a view of the text")
 */
export function liveReference(model: ReferenceModel, description = "the model itself"): Reference<Tensor> {
  return modelReference(model, description);
}

function modelReference(
  model: ReferenceModel,
  description: string,
  cache?: RowCache<Datum, Tensor>,
): Reference<Tensor> {
  if (!model.distributions) {
    throw new UserError(
      `the reference (${description}) needs a model with distributions over the whole vocabulary, which this one does not have: ` +
        "use an embedded engine, or promptReference (its k likeliest tokens) or targetsReference (its target tokens)",
    );
  }
  const { hidden, fromHidden } = model;
  const read = hidden && fromHidden ? "hidden" : "distributions";
  return sharedReference<Tensor>({
    description,
    read: ({ data, step }) => namingReference(description, step.signal, () => model[read]!(data)),
    finish: read === "hidden" ? (states) => model.fromHidden!(states) : undefined,
    cache,
  });
}

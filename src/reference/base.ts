import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../model/legacy.ts";
import { computedReference } from "./computed.ts";
import { type HiddenModel, HiddenStates } from "./hidden-states.ts";
import type { Reference } from "./legacy.ts";

/**
 * The model's own base, the adapter switched off: exact over the whole vocabulary. The base does not change, so the answer
 * for the latest data is kept, and all regularizers on a batch share one pass through it; of an embedded model, which tells
 * its hidden states, those are kept as well (up to 256 MB), and it reads no text twice. Distributions are made for the parts
 * of a batch as they come, never for all of it, which may be more than memory holds.
 *
 * @param description for messages and the record of a run. Default `base`.
 * @example new KLDivergence({ reference: baseReference(engine.sampler("base")) })
 */
export function baseReference(
  base: Pick<SamplingClient, "distributions"> & Partial<HiddenModel>,
  description = "base",
): Reference<Tensor> {
  const states = isHiddenModel(base) ? new HiddenStates(base) : undefined;
  const reference = computedReference((data) => (states ?? base).distributions(data), {
    description,
    keepLatest: true,
    check: false,
    // In this process a second try would end as the first.
    retries: 0,
    timeout: Number.POSITIVE_INFINITY,
  });
  return {
    description,
    // Not ended early: a model at work in this process must not be closed under it.
    resolve: async (data, { batch } = {}) => {
      if (batch) await states?.read(batch);
      return reference.resolve(data);
    },
  };
}

function isHiddenModel<T extends Partial<HiddenModel>>(model: T): model is T & HiddenModel {
  return model.hidden !== undefined && model.fromHidden !== undefined;
}

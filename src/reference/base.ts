import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../engine/contract.ts";
import { computedReference } from "./computed.ts";
import type { Reference } from "./contract.ts";

/**
 * The model's own base, the adapter switched off: exact over the whole vocabulary. The base does not change, so the answer
 * for the latest data is kept, and all regularizers on a batch share one pass through it. It is asked about the parts of a
 * batch as they come, never about all of it, which may be more than memory holds.
 *
 * @param description for messages and the record of a run. Default `base`.
 * @example new KLDivergence({ reference: baseReference(engine.sampler("base")) })
 */
export function baseReference(base: Pick<SamplingClient, "distributions">, description = "base"): Reference<Tensor> {
  const reference = computedReference((data) => base.distributions(data), {
    description,
    keepLatest: true,
    // In this process a second try would end as the first.
    retries: 0,
    timeout: Number.POSITIVE_INFINITY,
  });
  return { description, resolve: (data, { signal } = {}) => reference.resolve(data, { signal }) };
}

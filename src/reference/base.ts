import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../engine/contract.ts";
import { computedReference } from "./computed.ts";
import type { Reference } from "./contract.ts";

/**
 * The model's own base, the adapter switched off: exact over the whole vocabulary. The base does not change, so the answer
 * for the latest data is kept, and all regularizers on a batch share one pass through it.
 *
 * @example new KLDivergence({ reference: baseReference(engine.sampler("base")) })
 */
export function baseReference(base: Pick<SamplingClient, "distributions">): Reference<Tensor> {
  return computedReference((data) => base.distributions(data), { description: "base", keepLatest: true });
}

import { UserError } from "../common/errors.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../model/legacy.ts";
import { baseReference } from "./base.ts";
import type { Reference } from "./legacy.ts";

/**
 * The model itself as it was some steps ago: holds each stretch of training near its beginning, wherever that is by then.
 * Before the steps 1, `every` + 1, 2 · `every` + 1, … the model is copied, so that the divergence is 0 there.
 *
 * @param snapshot the model as it is now, whatever training makes of it later; only its adapter need be copied.
 * @throws UserError unless `every` is a whole number of at least 1.
 * @example movingReference(() => client.snapshot(), { every: 50 })
 */
export function movingReference(
  snapshot: () => Pick<SamplingClient, "distributions">,
  { every }: { readonly every: number },
): Reference<Tensor> {
  if (!(Number.isInteger(every) && every >= 1)) {
    throw new UserError(`a moving reference is copied every ${every} steps, expected a whole number of at least 1`);
  }
  const description = `the model of up to ${every} steps ago`;
  let copy: { readonly period: number; readonly reference: Reference<Tensor> } | undefined;
  return {
    description,
    resolve: (data, options = {}) => {
      const period = Math.floor(((options.step ?? 1) - 1) / every);
      if (copy?.period !== period) copy = { period, reference: baseReference(snapshot(), description) };
      return copy.reference.resolve(data, options);
    },
  };
}

import { UserError } from "../common/errors.ts";
import { type RetryOptions, withRetries } from "../common/retry.ts";
import type { Datum } from "../data/datum.ts";
import type { Reference, ReferenceRows } from "./contract.ts";
import { type InputFormat, rowNormalizer } from "./normalize-rows.ts";
import { namingReference, sharedReference } from "./shared-reference.ts";

/**
 * Computes the reference of a batch: log-probabilities [M, V] (or a `topK`) per datum, in the order of the data. The signal
 * is aborted when the answer would come too late, or is not needed any more. The rows are read until the step is over.
 */
export type ComputeReference<Rows extends ReferenceRows = ReferenceRows> = (
  data: readonly Datum[],
  options: { readonly signal: AbortSignal },
) => readonly Rows[] | Promise<readonly Rows[]>;

/** How a reference is computed, and what format it comes in. */
export interface ComputedOptions extends InputFormat, RetryOptions {
  /** For messages. Default `computeReference`. */
  readonly description?: string | undefined;
}

/**
 * A reference computed on demand: once a step, for all data of it that are asked about at once, however the engine splits
 * them and however many regularizers share it. A try that fails or takes too long is repeated, unless it failed with a
 * `UserError`; the last failure is passed on with the reference's name, and the next step asks again.
 *
 * @throws UserError from `begin` that names the datum, for rows that are not log-probabilities.
 * @example
 * computedReference(async (data, { signal }) => askMyServer(data, signal), { timeout: 20_000, retries: 4 })
 */
export function computedReference<Rows extends ReferenceRows = ReferenceRows>(
  compute: ComputeReference<Rows>,
  { description = "computeReference", ...options }: ComputedOptions = {},
): Reference<Rows> {
  return sharedReference<Rows>({
    description,
    normalizeRows: rowNormalizer(description, options),
    read: ({ data, step: { signal } }) =>
      namingReference(description, signal, async () => {
        const answer: unknown = await withRetries((signal) => compute(data, { signal }), options, signal);
        if (Array.isArray(answer)) return answer as readonly Rows[];
        throw new UserError("expected a list with one tensor per datum");
      }),
  });
}

import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { UserError } from "../errors.ts";
import type { Reference, ReferenceRows } from "./contract.ts";

/** Computes the reference of a batch: log-probabilities [M, V] (or a `topK`) per datum, in the order of the data. */
export type ComputeReference<Rows extends ReferenceRows = ReferenceRows> = (
  data: readonly Datum[],
) => readonly Rows[] | Promise<readonly Rows[]>;

export interface ComputedOptions {
  /** For messages. Default `computeReference`. */
  readonly description?: string;
  /** Keep the answer for the latest data after it has come, for a reference that never changes. Default false. */
  readonly keepLatest?: boolean;
}

/**
 * A reference computed on demand. Regularizers that share it and ask for the same data while it is being computed share
 * one call. A failure is passed on with the reference's name, and not remembered.
 */
export function computedReference<Rows extends ReferenceRows = Tensor>(
  compute: ComputeReference<Rows>,
  { description = "computeReference", keepLatest = false }: ComputedOptions = {},
): Reference<Rows> {
  let latest: { readonly data: readonly Datum[]; readonly answer: Promise<readonly Rows[]> } | undefined;
  const call = async (data: readonly Datum[]): Promise<readonly Rows[]> => {
    try {
      const answer: unknown = await compute(data);
      if (!Array.isArray(answer)) throw new UserError("expected a list with one tensor per datum");
      return answer as readonly Rows[];
    } catch (cause) {
      const message = `the reference ${description} failed: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw cause instanceof UserError ? new UserError(message, { cause }) : new Error(message, { cause });
    }
  };
  return {
    description,
    resolve: (data) => {
      if (latest && sameData(latest.data, data)) return latest.answer;
      const mine = { data: [...data], answer: call(data) };
      latest = mine;
      const forget = () => {
        if (latest === mine) latest = undefined;
      };
      mine.answer.then(keepLatest ? undefined : forget, forget);
      return mine.answer;
    },
  };
}

function sameData(one: readonly Datum[], other: readonly Datum[]): boolean {
  return one.length === other.length && one.every((datum, i) => datum === other[i]);
}

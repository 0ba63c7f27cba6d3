import { UserError } from "../common/errors.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Json, SavedState } from "../loss/state.ts";
import type { Snapshot, Snapshots } from "../model/contract.ts";
import { baseReference } from "./base.ts";
import type { Reference } from "./contract.ts";

/** The model of a moment, and for which period of steps it is the reference: 0 for the first `every`, 1 for the next, … */
interface Copy {
  readonly period: number;
  readonly model: Snapshot;
  readonly reference: Reference<Tensor>;
}

/**
 * The model itself as it was some steps ago: holds each stretch of training near its beginning, wherever that is by then.
 * Before the steps 1, `every` + 1, 2 · `every` + 1, … the model is copied, so that the divergence is 0 there. Its state is the
 * copy and the period that it is of.
 *
 * @param snapshots copies of the model under training: `client.snapshots`, where the engine has them.
 * @throws UserError unless `every` is a whole number of at least 1, or where there are no snapshots.
 * @example syncedReference(client.snapshots, { every: 50 })
 */
export function syncedReference(
  snapshots: Snapshots | undefined,
  { every }: { readonly every: number },
): Reference<Tensor> {
  if (!(Number.isInteger(every) && every >= 1)) {
    throw new UserError(`a synced reference is copied every ${every} steps, expected a whole number of at least 1`);
  }
  if (!snapshots) {
    throw new UserError(
      "a synced reference needs copies of the model, which this engine cannot make: use an embedded engine",
    );
  }
  const description = `the model of up to ${every} steps ago`;
  const copyOf = (period: number, model: Snapshot): Copy => ({
    period,
    model,
    reference: baseReference(model, description),
  });
  let copy: Copy | undefined;
  return {
    description,
    state: {
      read: () => (copy ? savedOf(copy) : { values: { period: null }, tensors: new Map() }),
      write: (saved) => {
        const period = periodOf(saved.values);
        copy = period === null ? undefined : copyOf(period, snapshots.restore(saved.tensors));
      },
    },
    begin: async (data, step) => {
      const period = Math.floor((step.number - 1) / every);
      if (copy?.period !== period) copy = copyOf(period, snapshots.take());
      return copy.reference.begin(data, step);
    },
  };
}

function savedOf({ period, model }: Copy): SavedState {
  const tensors = [...model.tensors].map(([name, { data, shape }]) => [name, { data: data.slice(), shape }] as const);
  return { values: { period }, tensors: new Map(tensors) };
}

/** @throws UserError for what is not the state of a synced reference. */
function periodOf(values: Json): number | null {
  const period = (values as { readonly period?: Json } | null)?.period;
  if (period === null || (typeof period === "number" && Number.isInteger(period))) return period;
  throw new UserError(
    `the saved state of a synced reference is ${JSON.stringify(values)}, expected { "period": a whole number or null }`,
  );
}

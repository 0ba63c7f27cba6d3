import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { type Declared, intake } from "./intake.ts";
import type { Reference, ReferenceRows } from "./legacy.ts";
import { rowsOf } from "./rows-of.ts";

/**
 * Log-probabilities computed before: one tensor [M, V] (or `topK`) per datum, in the order of the batch, or a map that knows
 * each datum. One alone is the list of one. The map is the form for training, where batches change.
 */
export type GivenLogprobs = ReferenceRows | readonly ReferenceRows[] | ReadonlyMap<Datum, ReferenceRows>;

/** What the given rows are. */
export interface GivenOptions extends Declared {
  /** For messages. Default `referenceLogprobs`. */
  readonly description?: string | undefined;
}

/**
 * A reference that is known already. Rows cut from a datum get their part of what is given for it.
 *
 * @throws UserError from `resolve`: for a datum of which nothing is given, or rows that are no log-probabilities.
 * @example givenReference(new Map(data.map((datum, i) => [datum, logprobs[i]])))
 */
export function givenReference(
  logprobs: GivenLogprobs,
  { description = "referenceLogprobs", ...declared }: GivenOptions = {},
): Reference {
  const takeIn = intake(description, declared);
  /** What was taken in before is not checked again. */
  const taken = new WeakMap<ReferenceRows, ReferenceRows>();
  return {
    description,
    resolve: async (data, { batch = data } = {}) => {
      const known = asMap(logprobs, batch, description);
      return data.map((datum, i) => {
        const found = rowsOf(datum, (whole) => {
          const rows = known.get(whole);
          if (!rows) return undefined;
          const at = batch.indexOf(whole);
          const ready = taken.get(rows) ?? takeIn(whole, at < 0 ? i : at, rows);
          // What single tokens mean depends on the datum.
          if (!declared.sampled) taken.set(rows, ready);
          return ready;
        });
        if (found) return found;
        throw new UserError(
          `${description} has no log-probabilities for ${formatDatum(datum, i)}: put them into the map under that datum`,
        );
      });
    },
  };
}

function asMap(
  logprobs: GivenLogprobs,
  batch: readonly Datum[],
  description: string,
): ReadonlyMap<Datum, ReferenceRows> {
  if (logprobs instanceof Map) return logprobs;
  const list = Array.isArray(logprobs) ? (logprobs as readonly ReferenceRows[]) : [logprobs as ReferenceRows];
  if (list.length === batch.length) return new Map(batch.map((datum, i) => [datum, list[i]!]));
  throw new UserError(
    `${description} has ${list.length} tensors for ${batch.length} datums: give one per datum, or a Map from datum to tensor when batches change`,
  );
}

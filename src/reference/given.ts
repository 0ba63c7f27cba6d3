import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { OpenReference, Reference, ReferenceRows } from "./contract.ts";
import { type InputFormat, rowNormalizer } from "./normalize-rows.ts";
import { rowsOpener } from "./open-rows.ts";
import { RowCache } from "./row-cache.ts";

/**
 * Log-probabilities computed before: one tensor [M, V] (or `topK`) per datum, in the order of the batch, or a map that knows
 * each datum. One alone is the list of one. The map is the form for training, where batches change.
 */
export type GivenLogprobs = ReferenceRows | readonly ReferenceRows[] | ReadonlyMap<Datum, ReferenceRows>;

/** What format the given rows come in. */
export interface GivenOptions extends InputFormat {
  /** For messages. Default `referenceLogprobs`. */
  readonly description?: string | undefined;
}

/** Bytes of rows that were normalized before, and are not checked again. */
const CACHE_BYTES = 256 << 20;

/**
 * A reference that is known already.
 *
 * @throws UserError from `begin`: for a datum without rows, or rows that are not log-probabilities.
 * @example givenReference(new Map(data.map((datum, i) => [datum, logprobs[i]])))
 */
export function givenReference(
  logprobs: GivenLogprobs,
  { description = "referenceLogprobs", ...format }: GivenOptions = {},
): Reference {
  const open = givenRowsOpener(description, format);
  return { description, begin: async (data) => open(data, listFor(data, logprobs, description)) };
}

/**
 * Opens references over rows that were given for each datum, normalized. Rows whose meaning does not depend on the datum
 * are kept normalized, so that the next step does not check them again.
 */
export function givenRowsOpener(
  description: string,
  format: InputFormat,
): (data: readonly Datum[], given: readonly ReferenceRows[]) => OpenReference {
  const normalizeRows = rowNormalizer(description, format);
  const open = rowsOpener(description);
  const cache = format.targets ? undefined : new RowCache<ReferenceRows, ReferenceRows>(CACHE_BYTES);
  return (data, given) => {
    const rows = given.map((each, i) => cache?.get(each) ?? normalizeRows(data[i]!, i, each));
    cache?.keep(new Map(given.map((each, i) => [each, rows[i]!])));
    return open(data, rows);
  };
}

function listFor(data: readonly Datum[], logprobs: GivenLogprobs, description: string): readonly ReferenceRows[] {
  if (logprobs instanceof Map) {
    return data.map((datum, i) => {
      const rows: ReferenceRows | undefined = logprobs.get(datum);
      if (rows) return rows;
      throw new UserError(
        `${description} has no log-probabilities for ${formatDatum(datum, i)}: put them into the map under that datum`,
      );
    });
  }
  const list = Array.isArray(logprobs) ? (logprobs as readonly ReferenceRows[]) : [logprobs as ReferenceRows];
  if (list.length === data.length) return list;
  throw new UserError(
    `${description} has ${list.length} tensors for ${data.length} datums: give one per datum, or a Map from datum to tensor when batches change`,
  );
}

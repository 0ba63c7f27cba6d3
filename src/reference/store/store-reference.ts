import { UserError } from "../../common/errors.ts";
import { type Datum, sameData } from "../../data/datum.ts";
import { formatDatum } from "../../data/format-datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { Head } from "../hidden-states.ts";
import type { Reference, ReferenceRows } from "../legacy.ts";
import { KeptRows } from "../row-cache.ts";
import { checkIdentity, type StoreIdentity } from "./identity.ts";
import { StoreReader } from "./reader.ts";

/** A reference whose rows were computed before and lie in a store. */
export interface StoredReference extends Reference {
  readonly folder: string;
  /** Whether all rows of a datum are there; reads and checks them. */
  has(datum: Datum): boolean;
  close(): void;
}

/** Bytes of rows that are kept in memory, so that training comes back to them for nothing; the store may be any size. */
const KEPT_BYTES = 64 << 20;

/**
 * Opens a store as a reference. Each datum is found by its tokens, wherever it stands, also when only some of its rows are
 * asked for. Top-k rows come as a `topK` with their rest, hidden states as whole distributions that the head makes of them,
 * valid until the next call.
 *
 * @param needed what the store must hold: model, adapter, tokenizer, kind, k, temperature.
 * @throws UserError when there is no store, when it is of another reference (naming all that differs), or damaged; from
 * `resolve`, naming the datum, when the store lacks it.
 * @example
 * const reference = openStoredReference("./reference", needed, new HiddenHead(model, "reference"));
 * const kl = new KLDivergence({ reference, direction: "reverse" });
 */
export function openStoredReference(folder: string, needed: StoreIdentity, head: Head): StoredReference {
  const store = StoreReader.open(folder);
  try {
    checkIdentity(folder, store.identity, needed);
  } catch (error) {
    store.close();
    throw error;
  }
  const read = async (data: readonly Datum[]): Promise<readonly ReferenceRows[]> =>
    data.map((datum, i) => {
      const found = store.find(datum);
      if (found) return found.kept;
      throw new UserError(
        `the reference store ${folder} lacks ${formatDatum(datum, i)}, or some of its rows: ${HOW_TO_BUILD}`,
      );
    });
  const kept = new KeptRows(read, KEPT_BYTES);
  const look = async (data: readonly Datum[]): Promise<readonly ReferenceRows[]> => {
    const rows = await kept.rows(data);
    return store.identity.kind === "hidden" ? head.fromHidden(rows as Tensor[]) : rows;
  };
  // Regularizers that share a store look at the same data one after another.
  let latest: { readonly data: readonly Datum[]; readonly rows: ReturnType<typeof look> } | undefined;
  return {
    description: `store ${folder}`,
    folder,
    resolve: (data) => {
      if (!latest || !sameData(latest.data, data)) latest = { data: [...data], rows: look(data) };
      return latest.rows;
    },
    has: (datum) => store.has(datum),
    close: () => store.close(),
  };
}

/**
 * Looks for all data, reading and checking what the store has of them.
 *
 * @throws UserError when some are missing: how many, the first of them, and what to do.
 */
export function refuseMissing(reference: StoredReference, data: readonly Datum[]): void {
  const missing: number[] = [];
  for (const [i, datum] of data.entries()) if (!reference.has(datum)) missing.push(i);
  if (missing.length === 0) return;
  const [first] = missing as [number];
  throw new UserError(
    `the reference store ${reference.folder} lacks ${missing.length} of ${data.length} texts, the first is ${formatDatum(data[first]!, first)}: ${HOW_TO_BUILD}`,
  );
}

const HOW_TO_BUILD = "run `klamp reference build --config FILE` with this configuration";

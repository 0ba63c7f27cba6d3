import { UserError } from "../../common/errors.ts";
import type { Datum } from "../../data/datum.ts";
import { formatDatum } from "../../data/format-datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { VocabularyModel } from "../../model/contract.ts";
import type { Reference, ReferenceRows } from "../contract.ts";
import { RowCache } from "../row-cache.ts";
import { sharedReference } from "../shared-reference.ts";
import { checkIdentity, type StoreIdentity } from "./identity.ts";
import { StoreReader } from "./reader.ts";

/** A reference whose rows were computed before and are read from a store. */
export interface StoredReference extends Reference {
  readonly folder: string;
  /** Whether the store has all rows of a datum; reads and checks them. */
  has(datum: Datum): boolean;
  close(): void;
}

/** Bytes of rows that stay in memory from step to step; the store may be any size. */
const CACHE_BYTES = 64 << 20;

/**
 * Opens a store as a reference. Each datum is found by its tokens, wherever it comes from, also when only some of its rows are
 * asked for. Top-k rows come as a `topK` with their rest, hidden states as whole distributions that the head makes of them,
 * valid until other spans are asked for.
 *
 * @param needed what the store must hold: model, adapter, tokenizer, kind, k, temperature.
 * @param head of the model that the store is of.
 * @throws UserError when there is no store, when it is of another reference (with all differences), or damaged; from `begin`,
 * naming the datum, when the store lacks it.
 * @example
 * const reference = openStoredReference("./reference", needed, engine.stores.head("reference"));
 * const kl = new KLDivergence({ reference });
 */
export function openStoredReference(
  folder: string,
  needed: StoreIdentity,
  head: Pick<VocabularyModel, "fromHidden">,
): StoredReference {
  const store = StoreReader.open(folder);
  try {
    checkIdentity(folder, store.identity, needed);
  } catch (error) {
    store.close();
    throw error;
  }
  const reference = sharedReference<ReferenceRows>({
    description: `store ${folder}`,
    read: async ({ data, indices }) =>
      data.map((datum, i) => {
        const found = store.find(datum);
        if (found) return found.kept;
        throw new UserError(
          `the reference store ${folder} lacks ${formatDatum(datum, indices[i]!)}, or some of its positions: ${HOW_TO_BUILD}`,
        );
      }),
    finish: store.identity.kind === "hidden" ? (states) => head.fromHidden(states as readonly Tensor[]) : undefined,
    cache: new RowCache(CACHE_BYTES),
  });
  return { ...reference, folder, has: (datum) => store.has(datum), close: () => store.close() };
}

/**
 * Looks up all data, and reads and checks their rows.
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

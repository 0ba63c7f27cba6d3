import type { Datum } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { UserError } from "../../errors.ts";
import type { Reference, ReferenceRows } from "../contract.ts";
import { formatDatum } from "../format-datum.ts";
import { checkIdentity, type StoreIdentity } from "./identity.ts";
import { StoreReader } from "./reader.ts";

/** The model's head: log-probabilities [n, V] of final hidden states [n, d]. */
export interface Head {
  fromHidden(hidden: readonly Tensor[]): Promise<readonly Tensor[]>;
}

/** A reference whose rows were computed before and lie in a store. */
export interface StoredReference extends Reference {
  /** How many texts of the data the store lacks, and the first of them. Reads and checks all others. */
  missing(data: readonly Datum[]): Promise<{ readonly count: number; readonly first: Datum | null }>;
  close(): Promise<void>;
}

/**
 * Opens a store as a reference. Each datum is found by its tokens, wherever it stands, also when only some of its rows are
 * asked for. Top-k rows come as a `topK` with their rest, hidden states as whole distributions that the head makes of them.
 *
 * @param needed what the store must hold: model, adapter, tokenizer, kind, k, temperature.
 * @throws UserError when there is no store, when it is of another reference (naming all that differs), or damaged; from
 * `resolve`, naming the datum, when the store lacks it.
 * @example
 * const reference = await openStoredReference("./reference", needed, model.sampler());
 * const kl = new KLDivergence({ reference, direction: "reverse" });
 */
export async function openStoredReference(folder: string, needed: StoreIdentity, head: Head): Promise<StoredReference> {
  const store = await StoreReader.open(folder);
  try {
    checkIdentity(folder, store.identity, needed);
  } catch (error) {
    await store.close();
    throw error;
  }
  return {
    description: `store ${folder}`,
    resolve: async (data) => {
      const found = await Promise.all(data.map((datum) => store.find(datum)));
      const rows = found.map((each, i): ReferenceRows => {
        if (each) return each.kept;
        throw new UserError(
          `the reference store ${folder} lacks ${formatDatum(data[i]!, i)}, or some of its rows: ${HOW_TO_BUILD}`,
        );
      });
      return store.identity.kind === "hidden" ? head.fromHidden(rows as Tensor[]) : rows;
    },
    missing: async (data) => {
      let count = 0;
      let first: Datum | null = null;
      for (const datum of data) {
        if (await store.has(datum)) continue;
        count++;
        first ??= datum;
      }
      return { count, first };
    },
    close: () => store.close(),
  };
}

export const HOW_TO_BUILD = "run `klamp reference build --config FILE` with this configuration";

import type { z } from "zod";
import type { Datum } from "../../data/datum.ts";
import type { Tokenizer } from "../../data/tokenizer.ts";
import type { Snapshots } from "../../model/contract.ts";
import type { ReferenceModel } from "../../reference/base.ts";
import type { Reference } from "../../reference/contract.ts";
import type { StoredReference } from "../../reference/store/store-reference.ts";
import type { Source } from "../text.ts";

/** Settings of a reference store: its folder, what is kept at each position, and whose distributions. */
export type StoreConfig = { readonly store: string; readonly of: "base" | "start" } & (
  | { readonly kind: "top-k"; readonly k: number }
  | { readonly kind: "hidden" }
);

/** What references are built from. */
export interface ReferenceMaterial {
  readonly base: ReferenceModel;
  /** The model with the adapter that training starts from, if it starts from one. */
  readonly start?: ReferenceModel | undefined;
  /** Copies of the model under training, where its engine can make them. */
  readonly snapshots: Snapshots | undefined;
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer;
  /** Called with what takes a while. */
  readonly note: (text: string) => void;
  /** Ends what is waited for before training. */
  readonly signal?: AbortSignal | undefined;
  /** Opens a reference store for this model. */
  readonly openStore: (settings: StoreConfig) => StoredReference;
}

/** A reference, and how data are prepared for it. */
export interface BuiltReference {
  readonly reference: Reference;
  /** Names of loss inputs that lines of the data must carry. */
  readonly fields: readonly string[];
  /** Gives each datum what the reference reads from it. */
  readonly attach: (data: readonly Datum[]) => Promise<readonly Datum[]>;
}

/** A reference provider: all that the rest of klamp knows of it. */
export interface Provider<Settings, Schema extends z.ZodType = z.ZodType<Settings>> {
  /** Its word, or the first key of its settings. */
  readonly type: string;
  readonly schema: Schema;
  /** Its form in help and messages. */
  readonly usage: string;
  /** What it is, for help. */
  readonly help: string;
  /** In a word or two, for tables. */
  describe(settings: Settings): string;
  /** Whether it is the adapter that training starts from. Default: no. */
  isStart?(settings: Settings): boolean;
  /** Whether its numbers cover the lines of a data file only. Default: no. */
  readonly coversLinesOnly?: boolean;
  /** Why it does not cover these texts, if it does not. Default: it does. */
  refuses?(settings: Settings, texts: readonly Source[]): string | undefined;
  /** Names of loss inputs that lines of the data must carry. Default: none. */
  fields?(settings: Settings): readonly string[];
  make(settings: Settings, material: ReferenceMaterial): BuiltReference;
}

/** A provider, its types taken from its schema. */
export function provider<Schema extends z.ZodType>(
  settings: Provider<z.output<Schema>, Schema>,
): Provider<z.output<Schema>, Schema> {
  return settings;
}

/** A reference that covers any data. */
export function live(reference: Reference): BuiltReference {
  return { reference, fields: [], attach: async (data) => data };
}

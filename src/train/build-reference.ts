import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../engine/contract.ts";
import { baseReference } from "../reference/base.ts";
import type { Reference } from "../reference/contract.ts";
import { fieldReference } from "../reference/field.ts";
import { attachReference } from "../reference/file.ts";
import { movingReference } from "../reference/moving.ts";
import { refuseMissing, type StoredReference } from "../reference/store/store-reference.ts";
import type { ReferenceConfig, StoreConfig } from "./config-reference.ts";

type Model = Pick<SamplingClient, "distributions">;

/** What references are built from. */
export interface ReferenceMaterial {
  readonly base: Model;
  /** The model as it is now, whatever training makes of it later. */
  readonly snapshot: () => Model;
  readonly vocabSize: number;
  /** Opens a reference store for this model. */
  readonly openStore: (settings: StoreConfig) => Promise<StoredReference>;
}

/** A reference, and what has to be done to data before it can be asked about them. */
export interface BuiltReference {
  readonly reference: Reference;
  /** Names of loss inputs that lines of the data must carry. */
  readonly fields: readonly string[];
  /** Gives each datum what the reference reads from it. */
  readonly attach: (data: readonly Datum[]) => Promise<readonly Datum[]>;
}

/** Builds references from their settings; regularizers with the same settings share one, and so its answers. */
export function referenceBuilder(material: ReferenceMaterial): (settings: ReferenceConfig) => BuiltReference {
  const built = new Map<string, BuiltReference>();
  return (settings) => {
    const key = JSON.stringify(settings);
    const one = built.get(key) ?? build(settings, material);
    built.set(key, one);
    return one;
  };
}

function build(settings: ReferenceConfig, { base, snapshot, vocabSize, openStore }: ReferenceMaterial): BuiltReference {
  if (settings === "base") return asked(baseReference(base));
  if (settings === "start") return asked(baseReference(snapshot(), "the adapter that training started from"));
  if ("moving" in settings) return asked(movingReference(snapshot, settings.moving));
  if ("store" in settings) return stored(settings, openStore);
  const { temperature } = settings;
  if ("field" in settings) {
    return { ...asked(fieldReference(settings.field, { temperature })), fields: [settings.field] };
  }
  const { file } = settings;
  const field = `log-probabilities of ${file}`;
  return {
    reference: fieldReference(field, { description: file, temperature }),
    fields: [],
    attach: (data) => attachReference(data, file, field, vocabSize),
  };
}

/** A store is opened, and asked for all texts, before the first step. */
function stored(settings: StoreConfig, openStore: ReferenceMaterial["openStore"]): BuiltReference {
  let opened: Promise<StoredReference> | undefined;
  const open = () => {
    opened ??= openStore(settings);
    return opened;
  };
  return {
    reference: {
      description: `store ${settings.store}`,
      resolve: async (data, options) => (await open()).resolve(data, options),
    },
    fields: [],
    attach: async (data) => {
      await refuseMissing(await open(), data);
      return data;
    },
  };
}

/** A reference that can be asked about any data. */
function asked(reference: Reference | Reference<Tensor>): BuiltReference {
  return { reference, fields: [], attach: async (data) => data };
}

import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../engine/contract.ts";
import { baseReference } from "../reference/base.ts";
import type { Reference } from "../reference/contract.ts";
import { fieldReference } from "../reference/field.ts";
import { attachReference } from "../reference/file.ts";
import { movingReference } from "../reference/moving.ts";
import type { ReferenceConfig } from "./config-reference.ts";

type Model = Pick<SamplingClient, "distributions">;

/** What references are built from. */
export interface ReferenceMaterial {
  readonly base: Model;
  /** The model as it is now, whatever training makes of it later. */
  readonly snapshot: () => Model;
  readonly vocabSize: number;
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

function build(settings: ReferenceConfig, { base, snapshot, vocabSize }: ReferenceMaterial): BuiltReference {
  if (settings === "base") return asked(baseReference(base));
  if (settings === "start") return asked(baseReference(snapshot(), "the adapter that training started from"));
  if ("moving" in settings) return asked(movingReference(snapshot, settings.moving));
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

/** A reference that can be asked about any data. */
function asked(reference: Reference | Reference<Tensor>): BuiltReference {
  return { reference, fields: [], attach: async (data) => data };
}

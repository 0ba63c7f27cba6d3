import { UserError } from "../common/errors.ts";
import type { ReferenceConfig, ServerConfig, StoreConfig } from "../config/references.ts";
import type { Datum } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../model/legacy.ts";
import { baseReference } from "../reference/base.ts";
import { refuseTempered } from "../reference/check-temperature.ts";
import { fieldReference } from "../reference/field.ts";
import { attachReference } from "../reference/file.ts";
import type { Reference } from "../reference/legacy.ts";
import { promptReference } from "../reference/prompt-reference.ts";
import { completionsServer } from "../reference/server/completions-server.ts";
import { refuseMissing, type StoredReference } from "../reference/store/store-reference.ts";
import { movingReference } from "../reference/synced.ts";

type Model = Pick<SamplingClient, "distributions">;

/** What references are built from. */
export interface ReferenceMaterial {
  readonly base: Model;
  /** The model as it is now, whatever training makes of it later. */
  readonly snapshot: () => Model;
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer;
  /** Hears of work that takes a while. */
  readonly note: (text: string) => void;
  /** Ends what is waited for before training. */
  readonly signal?: AbortSignal | undefined;
  /** Opens a reference store for this model. */
  readonly openStore: (settings: StoreConfig) => StoredReference;
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

function build(settings: ReferenceConfig, material: ReferenceMaterial): BuiltReference {
  const { base, snapshot, vocabSize, openStore, signal } = material;
  if (settings === "base") return asked(baseReference(base));
  if (settings === "start") return asked(baseReference(snapshot(), "the adapter that training started from"));
  if ("moving" in settings) return asked(movingReference(snapshot, settings.moving));
  if ("store" in settings) return stored(settings, openStore);
  // From outside: looked at before the first step, so that what is wrong shows at once.
  const looked = (from: Reference, fields: readonly string[], give: BuiltReference["attach"]): BuiltReference => {
    const reference = refuseTempered(from, base);
    const attach = async (data: readonly Datum[]) => {
      const given = await give(data);
      await reference.resolve(given.slice(0, 1), { signal });
      return given;
    };
    return { reference, fields, attach };
  };
  if ("server" in settings) return looked(served(settings.server, material), [], async (data) => data);
  const { temperature } = settings;
  if ("field" in settings) {
    return looked(fieldReference(settings.field, { temperature }), [settings.field], async (data) => data);
  }
  const { file } = settings;
  const field = `log-probabilities of ${file}`;
  return looked(fieldReference(field, { description: file, temperature }), [], (data) =>
    attachReference(data, file, field, vocabSize),
  );
}

function served(settings: ServerConfig, { tokenizer, vocabSize, note }: ReferenceMaterial): Reference {
  const { k, timeout, api_key_env, ...how } = settings;
  const apiKey = api_key_env === null ? undefined : process.env[api_key_env];
  if (api_key_env !== null && apiKey === undefined) {
    throw new UserError(
      `reference.server.api_key_env names ${api_key_env}, which is not set: set it to the server's API key`,
    );
  }
  const decode = (token: number) => tokenizer.decode([token], { specialTokens: true });
  note(`asking ${how.model} at ${how.url} about the first text`);
  return promptReference(completionsServer({ ...how, apiKey, timeout: 1000 * timeout, decode }), { k, vocabSize });
}

/** A store is asked for all texts before the first step. */
function stored(settings: StoreConfig, openStore: ReferenceMaterial["openStore"]): BuiltReference {
  const reference = openStore(settings);
  const attach = async (data: readonly Datum[]) => {
    refuseMissing(reference, data);
    return data;
  };
  return { reference, fields: [], attach };
}

/** A reference that can be asked about any data. */
function asked(reference: Reference | Reference<Tensor>): BuiltReference {
  return { reference, fields: [], attach: async (data) => data };
}

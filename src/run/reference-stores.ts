import { UserError } from "../common/errors.ts";
import type { StoreConfig } from "../config/references/index.ts";
import type { Config } from "../config/schema.ts";
import { loadDataset } from "../data/dataset.ts";
import type { Datum } from "../data/datum.ts";
import { checkTokenizer, loadTokenizer } from "../data/tokenizer.ts";
import { type Adapter, adapterDigest } from "../engine/local/files/adapter.ts";
import { HiddenHead } from "../engine/local/head.ts";
import { LocalModel } from "../engine/local/local-model.ts";
import { type BuildProgress, type BuildResult, buildStore } from "../reference/store/build.ts";
import type { StoreIdentity } from "../reference/store/identity.ts";
import { openStoredReference, type StoredReference } from "../reference/store/store-reference.ts";
import { tokenizerDigest } from "../reference/store/tokenizer-digest.ts";
import { buildTexts } from "./build-anchors.ts";
import { startAdapter } from "./read-input.ts";

/** What a store must be, of this model's base or with an adapter. @throws UserError when k is larger than the vocabulary. */
function storeIdentity(model: LocalModel, settings: StoreConfig, start: Adapter | undefined): StoreIdentity {
  const { vocabSize, hiddenSize } = model.config;
  if (settings.kind === "top-k" && settings.k > vocabSize) {
    throw new UserError(
      `the reference store ${settings.store} is to keep k = ${settings.k} tokens, the model's vocabulary has ${vocabSize}: lower k`,
    );
  }
  return {
    kind: settings.kind,
    k: settings.kind === "top-k" ? settings.k : null,
    vocabulary: vocabSize,
    hidden_size: settings.kind === "hidden" ? hiddenSize : null,
    temperature: 1,
    model: model.digest(),
    adapter: settings.of === "start" ? adapterDigest(start!) : "none",
    tokenizer: tokenizerDigest(model.folder),
  };
}

/** Opens stores for a model, and closes them all. */
export class Stores {
  readonly #model: LocalModel;
  readonly #opened: StoredReference[] = [];

  constructor(model: LocalModel) {
    this.#model = model;
  }

  /** @param start the adapter that training starts from. */
  open(settings: StoreConfig, start: Adapter | undefined): StoredReference {
    const identity = storeIdentity(this.#model, settings, start);
    const store = openStoredReference(settings.store, identity, new HiddenHead(this.#model, settings.store));
    this.#opened.push(store);
    return store;
  }

  close(): void {
    for (const store of this.#opened) store.close();
  }
}

/** One store that was filled. */
export interface FilledStore extends BuildResult {
  readonly settings: StoreConfig;
}

export interface FillOptions {
  /** Hears of what takes a while. */
  readonly note: (text: string) => void;
  readonly onProgress: (progress: BuildProgress) => void;
  /** When aborted, what is under way is finished and nothing else begun. */
  readonly signal: AbortSignal;
}

/**
 * Fills the stores that a configuration names: each with the texts of its regularizers, the training data's and anchors'.
 *
 * @throws UserError when the configuration names none, and for all bad input that training would refuse.
 */
export async function fillStores(config: Config, { note, onProgress, signal }: FillOptions): Promise<FilledStore[]> {
  const wanted = config.regularizers.flatMap((settings) =>
    "reference" in settings && typeof settings.reference === "object" && "store" in settings.reference
      ? [{ ...settings, store: settings.reference }]
      : [],
  );
  if (wanted.length === 0) {
    throw new UserError(
      "the configuration names no reference store: give a regularizer `reference: { store: FOLDER }`, and this command fills it",
    );
  }
  const model = await LocalModel.open(config.model, { threads: config.engine.threads });
  try {
    const start = await startAdapter(config, model);
    const tokenizer = loadTokenizer(config.model);
    const { vocabSize, maxPositions } = model.config;
    checkTokenizer(tokenizer, vocabSize);
    const base = model.sampler();
    const material = {
      base,
      tokenizer,
      vocabSize,
      maxLength: maxPositions,
      seed: config.train.seed,
      note,
      onDrawn: () => {},
    };
    const maxLength = Math.min(config.data.max_length ?? maxPositions, maxPositions);
    const training = await loadDataset(config.data.train, tokenizer, { maxLength, vocabSize });
    const stores = new Map<string, { settings: StoreConfig; data: Datum[] }>();
    for (const { text, store: settings } of wanted) {
      const { anchors = [], completions } = await buildTexts(text, "", [], material);
      const key = JSON.stringify(settings);
      const data = stores.get(key)?.data ?? [];
      data.push(...(completions ? training : []), ...anchors.flatMap((anchor) => [...anchor.data]));
      stores.set(key, { settings, data });
    }
    const filled: FilledStore[] = [];
    for (const { settings, data } of stores.values()) {
      if (signal.aborted && filled.length > 0) break;
      const identity = storeIdentity(model, settings, start);
      const [whose, source] =
        settings.of === "start" ? ["the starting adapter's", model.sampler(start)] : ["the base's", base];
      note(`filling ${settings.store} with ${whose} distributions`);
      const result = await buildStore(data, { folder: settings.store, identity, source, signal, onProgress });
      filled.push({ ...result, settings });
    }
    return filled;
  } finally {
    await model.close();
  }
}

import { UserError } from "../common/errors.ts";
import type { StoreConfig } from "../config/references/index.ts";
import type { Config } from "../config/schema.ts";
import type { Datum } from "../data/datum.ts";
import { checkTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { openEngine } from "../engine/open.ts";
import type { DownloadProgress } from "../hub/snapshot.ts";
import type { Engine, SamplingClient, StoreSupport } from "../model/contract.ts";
import { type BuildProgress, type BuildResult, buildStore, type StoreSource } from "../reference/store/build.ts";
import type { StoreIdentity } from "../reference/store/identity.ts";
import { openStoredReference, type StoredReference } from "../reference/store/store-reference.ts";
import { tokenizerDigest } from "../reference/store/tokenizer-digest.ts";
import { buildTexts } from "./build-anchors.ts";
import { locateSources } from "./locate.ts";
import { engineSettings, openTokenizer } from "./read-input.ts";
import { loadTrainingData } from "./training-data.ts";

/** The stores of a model, opened and closed together. */
export class Stores {
  readonly #engine: Engine;
  readonly #tokenizer: Tokenizer;
  /** `sha256:…` of the adapter that training starts from. */
  readonly #startDigest: string | undefined;
  readonly #opened: StoredReference[] = [];

  private constructor(engine: Engine, tokenizer: Tokenizer, startDigest: string | undefined) {
    this.#engine = engine;
    this.#tokenizer = tokenizer;
    this.#startDigest = startDigest;
  }

  /** @param start the folder of the adapter that training starts from. */
  static async of(engine: Engine, tokenizer: Tokenizer, start: string | null): Promise<Stores> {
    return new Stores(engine, tokenizer, start === null ? undefined : await engine.stores?.adapterDigest(start));
  }

  /** What a store must be, of this model's base or with an adapter. @throws UserError when k is larger than the vocabulary. */
  identity(settings: StoreConfig): StoreIdentity {
    const { vocabSize } = this.#engine.model;
    if (settings.kind === "top-k" && settings.k > vocabSize) {
      throw new UserError(
        `the reference store ${settings.store} is to keep k = ${settings.k} tokens, the model's vocabulary has ${vocabSize}: lower k`,
      );
    }
    const support = this.#support(settings);
    return {
      kind: settings.kind,
      k: settings.kind === "top-k" ? settings.k : null,
      vocabulary: vocabSize,
      hidden_size: settings.kind === "hidden" ? support.hiddenSize : null,
      temperature: 1,
      model: support.digest(),
      adapter: settings.of === "start" ? this.#startDigest! : "none",
      tokenizer: tokenizerDigest(this.#tokenizer.folder),
    };
  }

  open(settings: StoreConfig): StoredReference {
    const identity = this.identity(settings);
    const store = openStoredReference(settings.store, identity, this.#support(settings).head(settings.store));
    this.#opened.push(store);
    return store;
  }

  close(): void {
    for (const store of this.#opened) store.close();
  }

  #support({ store }: StoreConfig): StoreSupport {
    const { stores } = this.#engine;
    if (stores) return stores;
    throw new UserError(
      `the reference store ${store} needs the model in this process, and the engine keeps it on a server: use \`engine: { type: local }\`, or another reference`,
    );
  }
}

/** One store that was filled. */
export interface FilledStore extends BuildResult {
  readonly settings: StoreConfig;
}

export interface FillOptions {
  /** Called with what takes a while. */
  readonly note: (text: string) => void;
  readonly onProgress: (progress: BuildProgress) => void;
  /** Called while a model or an adapter is downloaded from the hub. */
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** When aborted, what is under way is finished and nothing else begun. */
  readonly signal: AbortSignal;
}

/**
 * Fills the stores that a configuration names: each with the texts of its regularizers, the training data's and anchors'.
 *
 * @throws UserError when the configuration names none, and for all bad input that training would refuse.
 */
export async function fillStores(
  config: Config,
  { note, onDownload, onProgress, signal }: FillOptions,
): Promise<FilledStore[]> {
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
  const sources = await locateSources(config, { note, onDownload, signal });
  const start = sources.adapter?.folder ?? null;
  const engine = await openEngine(engineSettings(config, sources));
  try {
    const tokenizer = openTokenizer(config, sources.model.folder);
    const { vocabSize, maxPositions } = engine.model;
    checkTokenizer(tokenizer, vocabSize);
    const stores = await Stores.of(engine, tokenizer, start);
    const base = await engine.sampler();
    const onDrawn = () => {};
    const { seed } = config.train;
    const tooLong = config.data.too_long;
    const material = { base, tokenizer, vocabSize, maxLength: maxPositions, tooLong, seed, note, onDrawn };
    const maxLength = Math.min(config.data.max_length ?? maxPositions, maxPositions);
    const limits = { maxLength, vocabSize, notice: note };
    const { data: training } = await loadTrainingData(config, tokenizer, limits);
    const texts = new Map<string, { settings: StoreConfig; data: Datum[] }>();
    for (const { text, store: settings } of wanted) {
      const { anchors = [], completions } = await buildTexts(text, "", [], material);
      const key = JSON.stringify(settings);
      const data = texts.get(key)?.data ?? [];
      texts.set(key, {
        settings,
        data: data.concat(completions ? training : [], ...anchors.map((anchor) => anchor.data)),
      });
    }
    const filled: FilledStore[] = [];
    for (const { settings, data } of texts.values()) {
      if (signal.aborted && filled.length > 0) break;
      const identity = stores.identity(settings);
      const isStart = settings.of === "start";
      const source = sourceOf(isStart ? await engine.sampler(start!) : base);
      note(`filling ${settings.store} with ${isStart ? "the starting adapter's" : "the base's"} distributions`);
      const result = await buildStore(data, { folder: settings.store, identity, source, signal, onProgress });
      filled.push({ ...result, settings });
    }
    return filled;
  } finally {
    await engine.close();
  }
}

function sourceOf(sampler: SamplingClient): StoreSource {
  if (!sampler.eachRun) throw new UserError("a reference store needs an embedded engine");
  return { eachRun: sampler.eachRun.bind(sampler) };
}

import type { Config } from "../config/schema.ts";
import { checkAdapterBase } from "../hub/adapter-base.ts";
import { type Located, locateAdapter, locateModel } from "../hub/locate.ts";
import type { DownloadOptions } from "../hub/snapshot.ts";

/** Where the files lie that a configuration names by a folder or a hub name. */
export interface Sources {
  readonly model: Located;
  /** The adapter that training starts from; null for a fresh one. */
  readonly adapter: Located | null;
}

/**
 * Finds the model and the adapter of a configuration, and downloads what is missing.
 *
 * @throws UserError for what is not found, or an adapter that was made for another model.
 */
export async function locateSources({ model, train }: Config, options: DownloadOptions = {}): Promise<Sources> {
  const base = await locateModel(model, options);
  if (train.adapter === null) return { model: base, adapter: null };
  const adapter = await locateAdapter(train.adapter, options);
  await checkAdapterBase(adapter, base);
  return { model: base, adapter };
}

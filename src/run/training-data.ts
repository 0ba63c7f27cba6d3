import type { Config } from "../config/schema.ts";
import { type DatasetOptions, loadDataset } from "../data/dataset.ts";
import type { Datum } from "../data/datum.ts";
import type { MixturePart } from "../data/mixture.ts";
import type { Tokenizer } from "../data/tokenizer.ts";

/** What a configuration trains on. */
export interface TrainingData {
  readonly data: readonly Datum[];
  /** What the data is made of, where files have shares; undefined: each datum is drawn as often as any other. */
  readonly mixture: readonly MixturePart[] | undefined;
}

/** Reads `data.train`. Files without a share are one part, whose share is what the others leave. @throws UserError */
export async function loadTrainingData(
  { data: { train, too_long } }: Config,
  tokenizer: Tokenizer,
  options: DatasetOptions,
): Promise<TrainingData> {
  const load = (path: string) => loadDataset(path, tokenizer, { ...options, tooLong: too_long });
  const entries = Array.isArray(train) ? train : [train];
  const shared: { readonly data: readonly Datum[]; readonly share: number }[] = [];
  const rest: Datum[] = [];
  for (const entry of entries) {
    if (typeof entry === "object") shared.push({ data: await load(entry.file), share: entry.share });
    else for (const datum of await load(entry)) rest.push(datum);
  }
  if (shared.length === 0) return { data: rest, mixture: undefined };
  const left = 1 - shared.reduce((sum, { share }) => sum + share, 0);
  const parts = rest.length === 0 ? shared : [...shared, { data: rest, share: left }];
  return {
    data: parts.flatMap(({ data }) => data),
    mixture: parts.map(({ data, share }) => ({ count: data.length, share })),
  };
}

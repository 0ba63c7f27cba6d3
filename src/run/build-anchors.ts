import { UserError } from "../common/errors.ts";
import { type Source, sourcesOf, type Text } from "../config/text.ts";
import { loadDataset } from "../data/dataset.ts";
import type { Datum } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { TooLong } from "../data/too-long.ts";
import { drawBaseSamples } from "../model/base-samples.ts";
import type { SamplingClient, Waiting } from "../model/contract.ts";
import type { Anchor } from "../train/anchor.ts";
import type { Term } from "../train/objective.ts";

/** Samples that were drawn for a regularizer, and the step that they are first used in. */
export interface Drawn {
  readonly regularizer: string;
  readonly step: number;
  readonly data: readonly Datum[];
}

/** What anchors are built from. */
export interface AnchorMaterial {
  readonly base: Pick<SamplingClient, "sample">;
  readonly tokenizer: Tokenizer;
  readonly vocabSize: number;
  readonly maxLength: number;
  /** `data.too_long`, for texts of files. */
  readonly tooLong: TooLong;
  /** `train.seed`. */
  readonly seed: number;
  /** Called with what takes a while. */
  readonly note: (text: string) => void;
  /** Who waits for samples that are drawn. */
  readonly waiting?: ((what: string) => Waiting) | undefined;
  /** Called with samples that were drawn, so that they can be kept with the run. */
  readonly onDrawn: (drawn: Drawn) => void;
}

/** What a setting `text` makes a regularizer work on. @param fields that each line of a file must carry. */
export async function buildTexts(
  text: Text,
  regularizer: string,
  fields: readonly string[],
  material: AnchorMaterial,
): Promise<Pick<Term, "anchors" | "completions">> {
  const sources = sourcesOf(text);
  const anchors: Anchor[] = [];
  for (const [i, source] of sources.entries()) {
    if (source !== "completions") anchors.push(await buildAnchor(source, i, regularizer, fields, material));
  }
  return { anchors, completions: sources.includes("completions") };
}

async function buildAnchor(
  source: Exclude<Source, "completions">,
  index: number,
  regularizer: string,
  fields: readonly string[],
  { base, tokenizer, vocabSize, maxLength, tooLong, seed, note, waiting, onDrawn }: AnchorMaterial,
): Promise<Anchor> {
  const { batch_size: batchSize } = source;
  if ("file" in source) {
    const options = { maxLength, tooLong, vocabSize, fields, notice: note };
    return { data: await loadDataset(source.file, tokenizer, options), batchSize, seed };
  }
  const { samples, max_tokens, temperature, refresh_every } = source;
  if (max_tokens > maxLength) {
    throw new UserError(
      `samples have max_tokens ${max_tokens}, the model reads at most ${maxLength}: lower it, as in \`text: { samples: ${samples}, max_tokens: ${maxLength} }\``,
    );
  }
  const draw = async (step: number) => {
    const what = `drawing ${samples} samples from the base as an anchor`;
    note(what);
    // A seed of its own for every time they are drawn.
    const how = { samples, max_tokens, temperature, seed: (source.seed ?? seed + index) + 1_000_003 * (step - 1) };
    const data = await drawBaseSamples(base, tokenizer, how, waiting?.(what));
    onDrawn({ regularizer, step, data });
    return data;
  };
  const refresh = refresh_every === null ? undefined : { every: refresh_every, draw };
  return { data: await draw(1), batchSize, seed, refresh };
}

/** Samples as lines of a file that `{ file: PATH }` reads as the same texts. */
export function samplesAsLines({ regularizer, step, data }: Drawn, tokenizer: Tokenizer): string {
  const lines = data.map(({ modelInput, lossInputs }) => {
    const tokens = [...modelInput, ...lossInputs.target_tokens.data.subarray(-1)];
    return JSON.stringify({ regularizer, step, tokens, sample: tokenizer.decode(tokens) });
  });
  return lines.map((line) => `${line}\n`).join("");
}

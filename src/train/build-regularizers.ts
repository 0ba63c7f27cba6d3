import { drawBaseSamples } from "../data/base-samples.ts";
import { loadDataset } from "../data/dataset.ts";
import type { Datum } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { SamplingClient } from "../engine/contract.ts";
import { UserError } from "../errors.ts";
import { baseReference } from "../reference/base.ts";
import { fieldReference } from "../reference/field.ts";
import { attachReference } from "../reference/file.ts";
import { excludeTokens } from "../regularizer/exclude-tokens.ts";
import type { Anchor } from "./anchor.ts";
import type { Config, RegularizerConfig } from "./config.ts";
import { buildWeight } from "./config-weights.ts";
import { makeRegularizer } from "./make-regularizer.ts";
import type { Held } from "./objective.ts";

/** What regularizers are built from. */
export interface Surroundings {
  readonly base: SamplingClient;
  /** The model as training leaves it at each moment. */
  readonly model: SamplingClient;
  readonly tokenizer: Tokenizer;
  readonly vocabSize: number;
  readonly maxLength: number;
  /** Hears of work that takes a while. */
  readonly note: (text: string) => void;
}

/** The regularizers of a configuration, and the training data with the references that they read from it. */
export async function buildRegularizers(
  config: Config,
  data: readonly Datum[],
  surroundings: Surroundings,
): Promise<{ held: Held[]; data: readonly Datum[] }> {
  const base = baseReference(surroundings.base);
  const names = uniqueNames(config.regularizers);
  const held: Held[] = [];
  for (const [i, settings] of config.regularizers.entries()) {
    const name = names[i]!;
    const reference = referenceOf(settings);
    const field = referenceField(reference, name);
    let anchor = await drawAnchor(settings, config, surroundings);
    const file = typeof reference === "object" && "file" in reference ? reference.file : null;
    if (file !== null) {
      const attach = (to: readonly Datum[]) => attachReference(to, file, field!, surroundings.vocabSize);
      if (anchor) anchor = { ...anchor, data: await attach(anchor.data) };
      else data = await attach(data);
    }
    const regularizer = makeRegularizer(settings, {
      name,
      model: surroundings.model,
      seed: config.train.seed,
      reference: field === null ? base : fieldReference(field, file === null ? {} : { description: file }),
    });
    held.push({
      regularizer: excludeTokens(regularizer, settings.exclude_tokens),
      weight: buildWeight(settings.weight),
      ...(anchor && { anchors: [anchor] }),
    });
  }
  return { held, data };
}

/** Names of loss inputs that lines of the training data must carry. */
export function dataFields({ regularizers }: Config): string[] {
  return regularizers.flatMap((settings) => {
    const reference = referenceOf(settings);
    return settings.on === "completions" && typeof reference === "object" && "field" in reference
      ? [reference.field]
      : [];
  });
}

type ReferenceConfig = Extract<RegularizerConfig, { readonly reference: unknown }>["reference"];

/** What a regularizer is held to; those that need no reference do not ask the base either. */
function referenceOf(settings: RegularizerConfig): ReferenceConfig {
  return "reference" in settings ? settings.reference : "base";
}

/** Under which loss input a datum carries the reference; null: the base is asked. */
function referenceField(reference: ReferenceConfig, name: string): string | null {
  if (reference === "base") return null;
  return "field" in reference ? reference.field : `reference of ${name}`;
}

async function drawAnchor(
  settings: RegularizerConfig,
  { train: { seed } }: Config,
  { base, tokenizer, vocabSize, maxLength, note }: Surroundings,
): Promise<Anchor | undefined> {
  const { on } = settings;
  if (on === "completions") return undefined;
  const reference = referenceOf(settings);
  if ("file" in on) {
    const fields = typeof reference === "object" && "field" in reference ? [reference.field] : [];
    return { data: await loadDataset(on.file, tokenizer, { maxLength, vocabSize, fields }), rows: on.rows, seed };
  }
  const { samples, rows, max_tokens, temperature } = on;
  if (max_tokens > maxLength) {
    throw new UserError(
      `a regularizer is on samples of ${max_tokens} tokens, the model reads at most ${maxLength}: lower their max_tokens`,
    );
  }
  note(`drawing ${samples} samples from the base as an anchor`);
  const drawn = await drawBaseSamples(base, tokenizer, { samples, max_tokens, temperature, seed: on.seed ?? seed });
  return { data: drawn, rows, seed };
}

/** Given names, or the type, numbered where it occurs again. */
function uniqueNames(regularizers: readonly RegularizerConfig[]): string[] {
  const names: string[] = [];
  for (const { name, type } of regularizers) {
    let unique = name ?? type;
    if (name !== null && names.includes(name)) {
      throw new UserError(
        `two regularizers are named ${name}; give each a name of its own, since names tell their metrics apart.`,
      );
    }
    for (let n = 2; names.includes(unique); n++) unique = `${type}_${n}`;
    names.push(unique);
  }
  return names;
}

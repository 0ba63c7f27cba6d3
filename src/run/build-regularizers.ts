import { UserError } from "../common/errors.ts";
import { buildWeight } from "../config/coefficients.ts";
import type { ReferenceConfig } from "../config/references.ts";
import { makeAdapterPenalty, makeRegularizer } from "../config/regularizers/make.ts";
import type { Config, OnTextConfig, RegularizerConfig } from "../config/schema.ts";
import { sourcesOf } from "../config/text.ts";
import type { Datum } from "../data/datum.ts";
import type { SamplingClient } from "../model/legacy.ts";
import type { WeightedPenalty } from "../regularizer/adapter/compose.ts";
import { excludeTokens } from "../regularizer/exclude-tokens.ts";
import type { Held } from "../train/objective.ts";
import { type AnchorMaterial, buildTexts } from "./build-anchors.ts";
import { type ReferenceMaterial, referenceBuilder } from "./build-references.ts";

/** What regularizers are built from. */
export interface Surroundings extends Omit<AnchorMaterial, "seed">, ReferenceMaterial {
  readonly base: SamplingClient;
  /** The model as training leaves it at each moment. */
  readonly model: SamplingClient;
}

/** The regularizers of a configuration, and the training data with the references that they read from it. */
export async function buildRegularizers(
  config: Config,
  data: readonly Datum[],
  surroundings: Surroundings,
): Promise<{ held: Held[]; adapterPenalties: WeightedPenalty[]; data: readonly Datum[] }> {
  const { seed } = config.train;
  const buildReference = referenceBuilder(surroundings);
  const names = uniqueNames(config.regularizers);
  const held: Held[] = [];
  const adapterPenalties: WeightedPenalty[] = [];
  for (const [i, settings] of config.regularizers.entries()) {
    const name = names[i]!;
    if (!("on" in settings)) {
      adapterPenalties.push({ penalty: makeAdapterPenalty(settings, name), weight: buildWeight(settings.weight) });
      continue;
    }
    checkTokens(settings.exclude_tokens, name, surroundings.vocabSize);
    const { reference, fields, attach } = buildReference(referenceOf(settings));
    const { anchors = [], completions } = await buildTexts(settings.on, name, fields, { ...surroundings, seed });
    if (completions) data = await attach(data);
    const regularizer = makeRegularizer(settings, { name, model: surroundings.model, seed, reference });
    held.push({
      regularizer: excludeTokens(regularizer, settings.exclude_tokens),
      weight: buildWeight(settings.weight),
      anchors: await Promise.all(anchors.map(async (each) => ({ ...each, data: await attach(each.data) }))),
      completions,
    });
  }
  return { held, adapterPenalties, data };
}

/** Names of loss inputs that lines of the training data must carry. */
export function dataFields({ regularizers }: Config): string[] {
  return regularizers.flatMap((settings) => {
    if (!("on" in settings)) return [];
    const reference = referenceOf(settings);
    const isField = typeof reference === "object" && "field" in reference;
    return isField && sourcesOf(settings.on).includes("completions") ? [reference.field] : [];
  });
}

/** What a regularizer is held to; those that need no reference do not ask the base either. */
function referenceOf(settings: OnTextConfig): ReferenceConfig {
  return "reference" in settings ? settings.reference : "base";
}

/** Refuses tokens that no text can hold: leaving them out would change nothing, and not say so. */
function checkTokens(tokens: readonly number[], name: string, vocabSize: number): void {
  const stray = tokens.find((token) => token >= vocabSize);
  if (stray === undefined) return;
  throw new UserError(
    `the regularizer ${name} excludes token ${stray}, the model's vocabulary has ${vocabSize}: give ids below that in exclude_tokens`,
  );
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

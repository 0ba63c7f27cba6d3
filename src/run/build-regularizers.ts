import { UserError } from "../common/errors.ts";
import { makeCoefficient } from "../config/coefficients/index.ts";
import { fieldsOf, type ReferenceConfig } from "../config/references/index.ts";
import { makeAdapterPenalty, makeRegularizer, namesOf } from "../config/regularizers/index.ts";
import type { Config, TextRegularizerConfig } from "../config/schema.ts";
import { sourcesOf } from "../config/text.ts";
import type { Datum } from "../data/datum.ts";
import type { SamplingClient } from "../model/contract.ts";
import type { WeightedPenalty } from "../regularizer/adapter/compose.ts";
import { excludeTokens } from "../regularizer/exclude-tokens.ts";
import type { Term } from "../train/objective.ts";
import { type AnchorMaterial, buildTexts } from "./build-anchors.ts";
import { type ReferenceMaterial, referenceBuilder } from "./build-references.ts";
import { excludedTokens } from "./excluded-tokens.ts";

/** What regularizers are built from. */
export interface Surroundings extends Omit<AnchorMaterial, "seed">, ReferenceMaterial {
  readonly base: SamplingClient;
  /** The model as training leaves it at each moment. */
  readonly model: SamplingClient;
}

/** The regularizers of a configuration, and the data with the references that they read from them. */
export async function buildRegularizers(
  config: Config,
  { data, validation }: { readonly data: readonly Datum[]; readonly validation: readonly Datum[] },
  surroundings: Surroundings,
): Promise<{
  terms: Term[];
  adapterPenalties: WeightedPenalty[];
  data: readonly Datum[];
  validation: readonly Datum[];
}> {
  const { seed } = config.train;
  const buildReference = referenceBuilder(surroundings);
  const names = namesOf(config.regularizers);
  const terms: Term[] = [];
  const adapterPenalties: WeightedPenalty[] = [];
  for (const [i, settings] of config.regularizers.entries()) {
    const name = names[i]!;
    if (!("text" in settings)) {
      adapterPenalties.push({
        penalty: makeAdapterPenalty(settings, { name }),
        weight: makeCoefficient(settings.weight),
      });
      continue;
    }
    const excluded = excludedTokens(settings.exclude_tokens, name, surroundings);
    const { reference, fields, attach } = buildReference(referenceOf(settings));
    const { anchors = [], completions } = await buildTexts(settings.text, name, fields, { ...surroundings, seed });
    if (completions) data = await attach(data);
    validation = await attachWhereItCan(validation, attach);
    const regularizer = makeRegularizer(settings, { name, model: surroundings.model, seed, reference });
    terms.push({
      regularizer: excludeTokens(regularizer, excluded),
      weight: makeCoefficient(settings.weight),
      anchors: await Promise.all(anchors.map(async (each) => ({ ...each, data: await attach(each.data) }))),
      completions,
    });
  }
  return { terms, adapterPenalties, data, validation };
}

/** A reference that does not know the validation data is not measured on them. */
async function attachWhereItCan(
  data: readonly Datum[],
  attach: (data: readonly Datum[]) => Promise<readonly Datum[]>,
): Promise<readonly Datum[]> {
  try {
    return await attach(data);
  } catch (error) {
    if (error instanceof UserError) return data;
    throw error;
  }
}

/** Names of loss inputs that lines of the training data must carry. */
export function dataFields({ regularizers }: Config): string[] {
  return regularizers.flatMap((settings) => {
    const onCompletions = "text" in settings && sourcesOf(settings.text).includes("completions");
    return onCompletions ? fieldsOf(referenceOf(settings)) : [];
  });
}

/** What a regularizer is held to; those that need no reference do not ask the base either. */
function referenceOf(settings: TextRegularizerConfig): ReferenceConfig {
  return "reference" in settings ? settings.reference : "base";
}

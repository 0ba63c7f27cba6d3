import type { Datum } from "../../data/datum.ts";
import { checkTemperature } from "../../reference/check-temperature.ts";
import type { Reference } from "../../reference/contract.ts";
import { FIELD_DEFAULTS } from "../../reference/normalize-rows.ts";
import type { Source } from "../text.ts";
import { temperature as softmaxTemperature } from "../values.ts";
import type { BuiltReference, ReferenceMaterial } from "./provider.ts";

/** @file What references have in common whose numbers klamp does not compute itself. */

export const temperature = softmaxTemperature
  .default(FIELD_DEFAULTS.temperature)
  .describe("the temperature that the log-probabilities are of");

/** Why numbers that belong to the lines of a data file do not cover these texts. */
export function refuseSamples(_: unknown, texts: readonly Source[]): string | undefined {
  if (!texts.some((source) => typeof source === "object" && "samples" in source)) return undefined;
  return "`field` and `file` references cover only lines of a data file: use `reference: base`, or completions";
}

/** A reference whose first answer is compared with the base before training, so that what is wrong shows at once. */
export function checked(
  from: Reference,
  { base, signal }: ReferenceMaterial,
  fields: readonly string[] = [],
  give: (data: readonly Datum[]) => Promise<readonly Datum[]> = async (data) => data,
): BuiltReference {
  const reference = checkTemperature(from, base);
  const attach = async (data: readonly Datum[]) => {
    const given = await give(data);
    await reference.begin(given.slice(0, 1), { number: 1, full: false, signal });
    return given;
  };
  return { reference, fields, attach };
}

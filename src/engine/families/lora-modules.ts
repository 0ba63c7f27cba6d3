import { UserError } from "../../common/errors.ts";
import type { LoraSettings } from "../../model/lora.ts";

/** @file Which linear maps LoRA's settings mean: PEFT's rules for names, endings, regular expressions and layers. */

/** Whether a linear map of this full name, such as `model.layers.0.self_attn.q_proj`, gets a pair of matrices. */
export function matchesModule(
  module: string,
  { target_modules, exclude_modules, layers_to_transform, layers_pattern }: LoraSettings,
): boolean {
  if (exclude_modules && matchesNames(module, exclude_modules)) return false;
  if (typeof target_modules === "string" || target_modules.includes(module) || !layers_to_transform) {
    return matchesNames(module, target_modules);
  }
  if (!matchesNames(module, target_modules)) return false;
  const patterns = layers_pattern && layers_pattern.length > 0 ? layers_pattern : ["[^.]*"];
  const layer = patterns
    .map((pattern) => regex(`.*\\.${pattern}\\.(\\d+)\\..*`, "layers_pattern").exec(module))
    .find((found) => found !== null)
    ?.at(-1);
  return layer !== undefined && layers_to_transform.includes(Number(layer));
}

/** What a pattern says of a linear map: the first whose key is the map's name, or an end of it after a dot. */
export function patternValue(pattern: Readonly<Record<string, number>>, module: string): number | undefined {
  const key = Object.keys(pattern).find((key) =>
    regex(`(.*\\.)?(${key})`, "rank_pattern or alpha_pattern").test(module),
  );
  return key === undefined ? undefined : pattern[key];
}

/** A text is a regular expression for the whole name; a list holds names, or ends of names after a dot. */
function matchesNames(module: string, names: string | readonly string[]): boolean {
  if (typeof names === "string") return regex(names, "target_modules").test(module);
  return names.some((name) => module === name || module.endsWith(`.${name}`));
}

/** A regular expression as Python's `re.fullmatch` reads it. @throws UserError for one that means something else here. */
function regex(source: string, setting: string): RegExp {
  try {
    return new RegExp(`^(?:${source.replaceAll("(?P<", "(?<")})$`, "u");
  } catch {
    throw new UserError(
      `LoRA's ${setting} holds ${JSON.stringify(source)}, which klamp cannot read as a regular expression; write it in the part of the syntax that Python and JavaScript share, or list the names.`,
    );
  }
}

import { type Direction, parseDirection } from "../divergence/direction.ts";
import { klDivergence } from "../divergence/kl-divergence.ts";
import { checked, type Measure } from "./position-loss.ts";
import { measureBy } from "./reference-options.ts";

/** Which way a KL divergence between the model and its reference looks. `forward` is model||reference. */
export type ReferenceDirection = Direction<"model", "reference">;

/** The same for the model and another view of a text. */
export type ViewDirection = Direction<"model", "view">;

/**
 * The KL divergence between the model and another distribution, or with `symmetric` the Jensen–Shannon divergence, as what is
 * measured.
 *
 * @throws UserError for an unknown direction.
 */
export function measureKL(
  names: Pick<Measure, "what" | "metric" | "prefix">,
  other: "reference" | "view",
  { direction: words, symmetric }: { readonly direction: string; readonly symmetric: boolean },
): Measure {
  const direction = checked(names.what, () => parseDirection(words, "model", other));
  const prepare = measureBy(klDivergence, { direction, symmetric });
  if (symmetric) return { ...names, formula: "the Jensen–Shannon divergence", prepare };
  const formula = direction === "p||q" ? `KL(model‖${other})` : `KL(${other}‖model)`;
  return { ...names, formula, direction, prepare };
}

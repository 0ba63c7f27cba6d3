import { UserError } from "../common/errors.ts";

/** Which way a KL divergence between the model and its reference looks. `forward` is model||reference. */
export type ReferenceDirection = "reference||model" | "model||reference" | "forward" | "reverse";

/** The same for the model and another view of a text. */
export type ViewDirection = "view||model" | "model||view" | "forward" | "reverse";

/**
 * The direction as the primitive has it, p being the model and q the other: KL(p‖q) or KL(q‖p).
 *
 * @throws UserError for any other word.
 */
export function directionTo(other: "reference" | "view", direction: string): "forward" | "reverse" {
  if (direction === `model||${other}` || direction === "forward") return "forward";
  if (direction === `${other}||model` || direction === "reverse") return "reverse";
  throw new UserError(
    `direction is ${JSON.stringify(direction)}, expected "${other}||model" or "model||${other}" (aliases: reverse, forward)`,
  );
}

/** What is measured, for messages, and its direction where there is one. */
export function formulaOf(direction: "forward" | "reverse", symmetric: boolean, other: string) {
  if (symmetric) return { formula: "the Jensen–Shannon divergence" };
  return { formula: direction === "forward" ? `KL(model‖${other})` : `KL(${other}‖model)`, direction };
}

import type { Direction } from "../divergence/direction.ts";

/** Which way a KL divergence between the model and its reference looks. `forward` is model||reference. */
export type ReferenceDirection = Direction<"model", "reference">;

/** The same for the model and another view of a text. */
export type ViewDirection = Direction<"model", "view">;

/** What is measured, for messages, and its direction where there is one. */
export function formulaOf(direction: "p||q" | "q||p", symmetric: boolean, other: string) {
  if (symmetric) return { formula: "the Jensen–Shannon divergence" };
  return { formula: direction === "p||q" ? `KL(model‖${other})` : `KL(${other}‖model)`, direction };
}

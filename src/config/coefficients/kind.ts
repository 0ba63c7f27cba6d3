import type { z } from "zod";
import type { Coefficient } from "../../regularizer/coefficients/contract.ts";

/** How the weight of a regularizer may be set: all that the rest of klamp knows of it. */
export interface CoefficientKind<Settings, Schema extends z.ZodType = z.ZodType<Settings>> {
  readonly schema: Schema;
  /** The key that identifies it, and its valid words; none: any value. A number has no key. */
  readonly key?: { readonly name: string; readonly words?: readonly string[] };
  /** Its form in help and messages. */
  readonly usage: string;
  /** What it does, for help. */
  readonly help: string;
  /** Whether it is controlled by what the regularizer measures, in nats per token. */
  readonly isControlled: boolean;
  make(settings: Settings): number | Coefficient;
  /** In words, after "weight": `0.1`, `0 to 0.5 over 100 steps (linear)`. */
  describe(settings: Settings): string;
  /** Whether it is ever > 0: the regularizer trains, and is not only measured. */
  canTrain(settings: Settings): boolean;
}

/** A kind, its types taken from its schema. */
export function coefficient<Schema extends z.ZodType>(
  kind: CoefficientKind<z.output<Schema>, Schema>,
): CoefficientKind<z.output<Schema>, Schema> {
  return kind;
}

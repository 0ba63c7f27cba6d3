import type { Rope } from "./rotary.ts";

/** A way to attend to earlier tokens. Each has a mask and rotary tables of its own. */
export interface Attention {
  /** Tells it from the others in the names of its inputs; `""` where there is one alone. */
  readonly name: string;
  /** How many tokens are seen, the last one included; null: all. */
  readonly window: number | null;
  /** The rotary embedding of queries and keys; null: none, they know no positions. */
  readonly rope: Rope | null;
}

/** The name of a way's own graph input: `mask`, `cos`, `sin`, or `mask.1`. */
export function attentionInput(what: "mask" | "cos" | "sin", { name }: Attention): string {
  return name === "" ? what : `${what}.${name}`;
}

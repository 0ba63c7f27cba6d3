import type { Choices } from "./random.ts";

/** One kind of input, and what reads it. */
export interface FuzzKind {
  readonly name: string;
  /** Its part of all cases. */
  readonly share: number;
  /**
   * What makes and reads one case in a folder of its own that every case of the kind uses. It ends, or throws what klamp
   * throws.
   */
  open(folder: string): Promise<(choices: Choices) => unknown>;
}

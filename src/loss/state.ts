import type { Tensor } from "../divergence/tensor.ts";

/** Plain data, as JSON holds it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A state in a form that files hold: plain data, and tensors by name. */
export interface SavedState {
  readonly values: Json;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** What changes from step to step and has to survive a restart. */
export interface Stateful {
  /** The state of this moment, in memory of its own. */
  read(): SavedState;
  /** Goes on from a state that `read` gave. */
  write(saved: SavedState): void;
}

import type { Loss } from "../loss/contract.ts";
import type { Stateful } from "../loss/state.ts";

/** A loss with a name, beside the task's own: what holds a model back. */
export interface Regularizer extends Loss {
  /** Unique in a composition; tells its metrics apart there. */
  readonly name: string;
  /** What it counts in a sum where no weight is given. Default 1. */
  readonly weight?: number | undefined;
  /** What changes from step to step, if anything does. */
  readonly state?: Stateful | undefined;
}

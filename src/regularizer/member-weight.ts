import type { Measured } from "../loss/contract.ts";
import type { Json, Stateful } from "../loss/state.ts";
import { type Coefficient, weightAt } from "./coefficients/contract.ts";

/** The weight of one member of a sum, and what has to survive a restart: the weight's state, and the member's own. */
export class MemberWeight {
  readonly name: string;
  readonly state: Stateful;
  readonly #weight: number | Coefficient;
  #state: Json;

  /**
   * @param own what the member keeps itself.
   * @throws UserError for a weight of step 1 that is negative or not finite.
   */
  constructor(name: string, weight: number | Coefficient, own: () => Stateful | undefined) {
    this.name = name;
    this.#weight = weight;
    this.#state = typeof weight === "number" ? null : weight.init();
    this.at(1);
    this.state = {
      read: () => {
        const { values = null, tensors = new Map() } = own()?.read() ?? {};
        return { values: { weight: this.#state, own: values }, tensors };
      },
      write: ({ values, tensors }) => {
        const saved = values as { readonly weight: Json; readonly own: Json };
        this.#state = saved.weight;
        own()?.write({ values: saved.own, tensors });
      },
    };
  }

  /** @throws UserError when it is negative or not finite. */
  at(step: number): number {
    return weightAt(this.#weight, this.#state, step, this.name);
  }

  /** A step in which the member measured this has ended. */
  update(measured: Measured): void {
    if (typeof this.#weight !== "number") this.#state = this.#weight.update(this.#state, measured);
  }
}

/** What members measured under flat names: `name/metric`. */
export function flatMetrics(members: Readonly<Record<string, Measured>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, { metrics }]) =>
      Object.entries(metrics).map(([metric, number]) => [`${name}/${metric}`, number] as const),
    ),
  );
}

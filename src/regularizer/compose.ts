import { UserError } from "../common/errors.ts";
import type { GradientSum, Item, Loss, Measured, OpenLoss, Part, Step, Support } from "../loss/contract.ts";
import { addGradient, GradientMemory, GradientSums } from "../loss/gradient-sum.ts";
import type { Json, Stateful } from "../loss/state.ts";
import { addFromTargets } from "../loss/targets.ts";
import { checkNames } from "./check-names.ts";
import type { Coefficient } from "./coefficients/contract.ts";
import type { Regularizer } from "./contract.ts";
import { flatMetrics, MemberWeight } from "./member-weight.ts";

/**
 * A regularizer and its weight in a composition: a number, finite and at least 0, or what gives one for each step. Weight 0
 * measures without training. Default: the regularizer's own `weight`, or 1.
 */
export interface Weighted {
  readonly regularizer: Regularizer;
  readonly weight?: number | Coefficient | undefined;
}

/** What one member of a sum measured over the whole batch, and what it counted. */
export interface MemberMeasured extends Measured {
  readonly weight: number;
  /** weight · value. */
  readonly contribution: number;
  /** In a full report: the L2 norm of its gradient with respect to all logits of the batch, unweighted. */
  readonly logit_grad_norm?: number;
  /** In a full report: the cosine between that gradient and the task's; absent where one of the two is 0. */
  readonly task_cosine?: number;
}

/** What a sum measured: its members by name. */
export interface SumMeasured extends Measured {
  readonly members: Readonly<Record<string, MemberMeasured>>;
}

/**
 * A weighted sum of regularizers, which is a regularizer again: Σ weightᵢ · regularizerᵢ.
 *
 * What each member measured comes as `members`, by its name, and flat in `metrics` as `name/metric`. In a full report each
 * one's gradient is measured before it is added to the sum.
 *
 * @param name of the composition itself, for when it is composed in turn. Default `"composition"`.
 * @throws UserError for a weight that is negative or not finite, or a name used twice; in a step, the error of the member
 * that failed with its name before it, also when its value is not finite.
 * @example
 * const both = compose([
 *   { regularizer: new KLDivergence({ reference }), weight: 0.1 },
 *   { regularizer: mine, weight: linearWeight({ to: 0.01, steps: 100 }) },
 * ]);
 */
export function compose(
  members: readonly Weighted[],
  { name = "composition" }: { readonly name?: string } = {},
): Regularizer & { begin(batch: readonly Item[], step: Step): Promise<OpenLoss & { end(): SumMeasured }> } {
  checkNames(members.map(({ regularizer }) => regularizer.name));
  const all = members.map((member) => new Member(member));
  return {
    name,
    support: supportOf(members.map(({ regularizer }) => regularizer)),
    state: stateOf(all),
    begin: async (batch, step) => {
      const open = await settled(all.map((member) => member.begin(batch, step)));
      return {
        add: (part, into) => addAll(open, part, into),
        end: () => {
          const measured = Object.fromEntries(open.map((member) => [member.name, member.end()]));
          const value = Object.values(measured).reduce((sum, { contribution }) => sum + contribution, 0);
          return { value, metrics: flatMetrics(measured), members: measured };
        },
      };
    },
  };
}

/** One regularizer of a sum. */
export class Member {
  readonly name: string;
  readonly state: Stateful;
  readonly #regularizer: Regularizer;
  readonly #weight: MemberWeight;
  readonly #memory = new GradientMemory();

  /** @throws UserError for a weight of step 1 that is negative or not finite. */
  constructor({ regularizer, weight = regularizer.weight ?? 1 }: Weighted) {
    this.name = regularizer.name;
    this.#regularizer = regularizer;
    this.#weight = new MemberWeight(regularizer.name, weight, () => regularizer.state);
    this.state = this.#weight.state;
  }

  async begin(batch: readonly Item[], step: Step): Promise<OpenMember> {
    const weight = this.#weight.at(step.number);
    const { support = "vocabulary" } = this.#regularizer;
    const open = await naming(this.name, step, async () => this.#regularizer.begin(batch, step));
    const update = (measured: Measured) => this.#weight.update(measured);
    return new OpenMember(this.name, open, support, weight, batch, step, update, this.#memory);
  }
}

/** A member within one step. */
export class OpenMember {
  readonly name: string;
  readonly weight: number;
  readonly #open: OpenLoss;
  readonly #support: Support | "either";
  readonly #batch: readonly Item[];
  readonly #step: Step;
  readonly #update: (measured: Measured) => void;
  readonly #sums: GradientSums | undefined;
  readonly #memory: GradientMemory;

  constructor(
    name: string,
    open: OpenLoss,
    support: Support | "either",
    weight: number,
    batch: readonly Item[],
    step: Step,
    update: (measured: Measured) => void,
    memory: GradientMemory,
  ) {
    this.name = name;
    this.weight = weight;
    this.#open = open;
    this.#support = support;
    this.#batch = batch;
    this.#step = step;
    this.#update = update;
    this.#sums = step.full ? new GradientSums() : undefined;
    this.#memory = memory;
  }

  /**
   * Computes a part. Its gradient is added to the sum at once, or in a full report returned, to be added when all that is
   * measured against the sum as it is has been.
   */
  async add(part: Part, into: GradientSum, task: GradientSum | undefined): Promise<(() => void) | undefined> {
    const apart = this.#sums && this.#memory.take(part.logprobs);
    const scaled = { gradient: into.gradient, scale: into.scale * this.weight };
    const own = apart ? { gradient: apart.zeros, scale: 1 } : scaled;
    const isWhole = part.logprobs.every(({ shape }) => shape.length === 2);
    await naming(this.name, this.#step, async () =>
      this.#support === "targets" && isWhole
        ? addFromTargets(this.#open, this.#batch, part, own)
        : this.#open.add(part, own),
    );
    if (!apart) return undefined;
    if (isWhole) this.#sums!.add(apart.zeros, task?.gradient);
    return () => {
      addGradient(scaled, apart.zeros);
      apart.giveBack();
    };
  }

  end(): MemberMeasured {
    const measured = namingSync(this.name, () => {
      const measured = this.#open.end();
      if (!Number.isFinite(measured.value))
        throw new UserError(`its value is ${measured.value}, expected a finite number`);
      return measured;
    });
    this.#update(measured);
    const { weight } = this;
    const cosine = this.#sums?.cosine;
    return {
      ...measured,
      weight,
      contribution: weight * measured.value,
      ...(this.#sums && { logit_grad_norm: this.#sums.norm }),
      ...(cosine !== undefined && { task_cosine: cosine }),
    };
  }
}

/** All members compute a part at the same time, into one gradient. `task` is the gradient that theirs are compared with. */
export async function addAll(
  members: readonly OpenMember[],
  part: Part,
  into: GradientSum,
  task?: GradientSum,
): Promise<void> {
  const pending = await settled(members.map((member) => member.add(part, into, task)));
  for (const add of pending) add?.();
}

/** The states of members, by their names. */
export function stateOf(members: readonly { readonly name: string; readonly state: Stateful }[]): Stateful {
  const prefix = (name: string) => `${name}/`;
  return {
    read: () => {
      const states = members.map(({ name, state }) => [name, state.read()] as const);
      return {
        values: Object.fromEntries(states.map(([name, { values }]) => [name, values])),
        tensors: new Map(
          states.flatMap(([name, { tensors }]) =>
            [...tensors].map(([tensor, value]) => [prefix(name) + tensor, value] as const),
          ),
        ),
      };
    },
    write: ({ values, tensors }) => {
      for (const { name, state } of members) {
        const own = (values as Readonly<Record<string, Json>>)[name];
        if (own == null) throw new UserError(`the saved state has nothing of the regularizer "${name}"`);
        const mine = [...tensors].filter(([tensor]) => tensor.startsWith(prefix(name)));
        state.write({
          values: own,
          tensors: new Map(mine.map(([tensor, value]) => [tensor.slice(prefix(name).length), value])),
        });
      }
    },
  };
}

/** What a sum of losses needs. */
export function supportOf(losses: readonly Pick<Loss, "support">[]): Support | "either" {
  const needs = losses.map(({ support = "vocabulary" }) => support);
  return needs.includes("vocabulary") ? "vocabulary" : needs.includes("targets") ? "targets" : "either";
}

/** All results, or the first failure once everything has come to its end: nothing is left under way. */
export async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(work);
  return outcomes.map((outcome) => {
    if (outcome.status === "fulfilled") return outcome.value;
    throw outcome.reason;
  });
}

async function naming<T>(name: string, { signal }: Step, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (signal?.aborted && cause === signal.reason) throw cause;
    throw named(name, cause);
  }
}

function namingSync<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw named(name, cause);
  }
}

function named(name: string, cause: unknown): Error {
  const message = `regularizer "${name}": ${cause instanceof Error ? cause.message : String(cause)}`;
  return cause instanceof UserError ? new UserError(message, { cause }) : new Error(message, { cause });
}

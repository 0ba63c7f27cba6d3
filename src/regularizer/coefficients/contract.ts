import { UserError } from "../../common/errors.ts";
import type { Measured } from "../../loss/contract.ts";
import type { Json } from "../../loss/state.ts";

/**
 * A regularizer's weight that changes from step to step: by a schedule, or by what the regularizer measured. It holds
 * nothing itself: its state goes in and comes out as plain data.
 */
export interface Coefficient<State extends Json = Json> {
  /** The state before the first step. */
  init(): State;
  /** The weight of a step, counted from 1: finite, at least 0. */
  at(state: State, step: number): number;
  /** The state after a step in which the regularizer measured this over the whole batch. */
  update(state: State, measured: Measured): State;
}

/** A coefficient that goes by the step alone. */
export function schedule(at: (step: number) => number): Coefficient<null> {
  return { init: () => null, at: (_, step) => at(step), update: () => null };
}

/**
 * The number that a weight is in a step.
 *
 * @param name of the regularizer, for messages.
 * @throws UserError when it is negative or not finite.
 */
export function weightAt(weight: number | Coefficient, state: Json, step: number, name: string): number {
  const found = typeof weight === "number" ? weight : weight.at(state, step);
  if (isWeight(found)) return found;
  const when = typeof weight === "number" ? "" : ` in step ${step}`;
  throw new UserError(
    `the weight of the regularizer "${name}" is ${found}${when}, expected a finite number of at least 0`,
  );
}

/**
 * What a controller steers by: the measured KL in nats per token, whatever the regularizer's reduction, or of a
 * regularizer that measures none its value.
 */
export function controlledMetric({ metrics, value }: Measured): number {
  const found = metrics.kl_divergence ?? value;
  if (Number.isFinite(found)) return found;
  throw new UserError(`a controlled weight was given the value ${found} by its regularizer, expected a finite number`);
}

/** @throws UserError unless the setting `holds`. */
export function expectSetting(name: string, value: unknown, holds: boolean, expected: string): void {
  if (!holds)
    throw new UserError(
      `${name} is ${typeof value === "number" ? value : JSON.stringify(value)}, expected ${expected}`,
    );
}

export const isWeight = (value: number): boolean => Number.isFinite(value) && value >= 0;
export const isPositive = (value: number): boolean => value > 0 && value < Number.POSITIVE_INFINITY;

import { UserError } from "../../common/errors.ts";

/**
 * A weight that changes from step to step: by a schedule, or by what its regularizer has measured. A controller has a
 * state, so each run and each regularizer needs its own.
 */
export interface Weight {
  /** The weight of a step, counted from 1: finite, at least 0, and the same however often it is asked for. */
  at(step: number): number;
  /**
   * Hears of each step once, when all parts of its batch have been computed.
   *
   * @param measured the regularizer's own metrics of the whole batch: `value`, `weight`, `contribution` and what it
   * measures itself, such as `kl_divergence`.
   */
  observe?(step: number, measured: Readonly<Record<string, number>>): void;
}

/**
 * The number that a weight is in a step.
 *
 * @param name of the regularizer, for messages.
 * @throws UserError when it is negative or not finite.
 */
export function weightAt(weight: number | Weight, step: number, name: string): number {
  const found = typeof weight === "number" ? weight : weight.at(step);
  if (found >= 0 && found < Number.POSITIVE_INFINITY) return found;
  const when = typeof weight === "number" ? "" : ` in step ${step}`;
  throw new UserError(
    `the weight of the regularizer "${name}" is ${found}${when}, expected a finite number of at least 0`,
  );
}

/**
 * What a controller steers by: the measured KL in nats per token, whatever the regularizer's reduction, or of a
 * regularizer that measures none its value.
 */
export function steeredValue(measured: Readonly<Record<string, number>>): number {
  const value = measured.kl_divergence ?? measured.value;
  if (value !== undefined && Number.isFinite(value)) return value;
  throw new UserError(
    `a controlled weight found ${value === undefined ? "neither kl_divergence nor value" : `the value ${value}`} among its regularizer's metrics, expected a finite number`,
  );
}

/** @throws UserError unless the setting of a weight `holds`. */
export function expectSetting(name: string, value: unknown, holds: boolean, expected: string): void {
  if (!holds)
    throw new UserError(
      `${name} is ${typeof value === "number" ? value : JSON.stringify(value)}, expected ${expected}`,
    );
}

export const isWeight = (value: number): boolean => value >= 0 && value < Number.POSITIVE_INFINITY;
export const isPositive = (value: number): boolean => value > 0 && value < Number.POSITIVE_INFINITY;

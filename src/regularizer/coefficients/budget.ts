import { type Coefficient, controlledMetric, expectSetting, isPositive, isWeight } from "./contract.ts";

/** What may be spent, and how the price is found. */
export interface BudgetOptions {
  /** The KL that may be spent, in nats per token. */
  readonly budget: number;
  /** The weight λ of the first step, at least 0 (> 0 with `"multiplicative"`). Default 0.1. */
  readonly initial?: number | undefined;
  /** η. Additive: by how much the weight rises in a step for each nat above the budget. Multiplicative: in which share
   * of itself, for each budget above the budget. Default 1 additive, 0.05 multiplicative. */
  readonly rate?: number | undefined;
  /**
   * `"additive"`: λ ← max(0, λ + η·(KL − budget)). `"multiplicative"`: λ ← λ·exp(η·(KL / budget − 1)), the exponent
   * at most ±0.5. Default `"additive"`.
   */
  readonly update?: "additive" | "multiplicative" | undefined;
}

/** Defaults of `budgetWeight`; `rate` by the update. */
export const BUDGET_DEFAULTS = {
  initial: 0.1,
  update: "additive",
  rate: { additive: 1, multiplicative: 0.05 },
} as const;
/** The most that one step multiplies by, as an exponent: a single wild batch does not undo what was found. */
const MOST_EXPONENT = 0.5;

/**
 * A KL budget: the weight is the price λ of min loss subject to KL ≤ budget, found by dual ascent, once a step. Above the
 * budget the price rises, below it falls, to nothing if need be.
 *
 * @throws UserError for a budget that is not above 0, or an invalid setting.
 * @example compose([{ regularizer: kl, weight: budgetWeight({ budget: 0.1 }) }]) // at most 0.1 nats per token
 * @see Boyd & Vandenberghe 2004, Convex Optimization, chapter 5
 */
export function budgetWeight({
  budget,
  initial = BUDGET_DEFAULTS.initial,
  update = BUDGET_DEFAULTS.update,
  rate = BUDGET_DEFAULTS.rate[update],
}: BudgetOptions): Coefficient<number> {
  expectSetting("update", update, Object.hasOwn(BUDGET_DEFAULTS.rate, update), "additive or multiplicative");
  expectSetting("budget", budget, isPositive(budget), "a finite number of nats per token above 0");
  expectSetting("rate", rate, isPositive(rate), "a finite number above 0");
  const additive = update === "additive";
  const least = additive
    ? "a finite number of at least 0"
    : "a finite number > 0: a multiplicative update never leaves 0";
  expectSetting("initial", initial, additive ? isWeight(initial) : isPositive(initial), least);
  return {
    init: () => initial,
    at: (weight) => weight,
    update: (weight, measured) => {
      const kl = controlledMetric(measured);
      if (additive) return Math.max(0, weight + rate * (kl - budget));
      return weight * Math.exp(Math.min(MOST_EXPONENT, Math.max(-MOST_EXPONENT, rate * (kl / budget - 1))));
    },
  };
}

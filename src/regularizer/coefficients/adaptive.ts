import { type Coefficient, controlledMetric, expectSetting, isPositive } from "./contract.ts";

/** What an adaptive weight aims at, and how fast. */
export interface AdaptiveOptions {
  /** The KL to end at, in nats per token. */
  readonly target: number;
  /** The weight of the first step, > 0. Default 0.1. */
  readonly initial?: number | undefined;
  /** In how many steps the weight moves by the whole relative error. Default 10. */
  readonly horizon?: number | undefined;
}

/** Defaults of `adaptiveWeight`. */
export const ADAPTIVE_DEFAULTS = { initial: 0.1, horizon: 10 } as const;

/** The relative error is clipped to this, either way. */
const MOST_ERROR = 0.2;

/**
 * Ziegler's adaptive controller: e = clip(KL / target − 1, ±0.2), weight ← weight·(1 + e / horizon), once a step.
 *
 * A proportional controller of the logarithm of the weight: it never reaches 0, and one step changes it by at most
 * 20 % / `horizon`, compounded over `horizon` = 10 steps by +21.9 % or −18.3 % at most. Where the original counts samples (KL of a whole sequence, n samples a step, a horizon of 10 000 of them), this one
 * counts steps and nats per token: its horizon is the original's divided by n.
 *
 * @throws UserError unless target, initial and horizon are finite numbers above 0.
 * @example compose([{ regularizer: kl, weight: adaptiveWeight({ target: 0.1 }) }])
 * @see Ziegler et al. 2019, Fine-Tuning Language Models from Human Preferences, section 2.2; TRL's `AdaptiveKLController`
 */
export function adaptiveWeight({
  target,
  initial = ADAPTIVE_DEFAULTS.initial,
  horizon = ADAPTIVE_DEFAULTS.horizon,
}: AdaptiveOptions): Coefficient<number> {
  for (const [name, value] of Object.entries({ target, initial, horizon }))
    expectSetting(name, value, isPositive(value), "a finite number above 0");
  return {
    init: () => initial,
    at: (weight) => weight,
    update: (weight, measured) => {
      const error = Math.min(MOST_ERROR, Math.max(-MOST_ERROR, controlledMetric(measured) / target - 1));
      return weight * (1 + error / horizon);
    },
  };
}

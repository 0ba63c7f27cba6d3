import { withDefaults } from "../common/defaults.ts";
import { UserError } from "../common/errors.ts";

/** Settings of AdamW and of the schedule of its learning rate. */
export interface OptimizerOptions {
  /** After warm-up. Default 3e-3. */
  readonly learningRate?: number | undefined;
  /** Decay rates of the gradient's mean and square. Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number] | undefined;
  /** Default 1e-8. */
  readonly eps?: number | undefined;
  /** Decoupled weight decay. Default 0. */
  readonly weightDecay?: number | undefined;
  /** Gradients are scaled down to this L2 norm over all matrices; 0 is off. Default 1. */
  readonly gradClip?: number | undefined;
  /** After warm-up: constant, or down to 0 in a line or half a cosine. Default `"constant"`. */
  readonly schedule?: "constant" | "linear" | "cosine" | undefined;
  /** Steps of linear warm-up: step 1 of n has 1/n of the rate, step n all of it. Default 0. */
  readonly warmupSteps?: number | undefined;
}

/** Defaults of the optimizer. */
export const ADAMW_DEFAULTS = {
  learningRate: 3e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  gradClip: 1,
  schedule: "constant",
  warmupSteps: 0,
} as const;

/** Whether ε keeps an update finite whose gradient's square is 0 in float32, and still lets others pass. */
export const isEps = (value: number) => value >= 1e-20 && value <= 1;
/** What is expected of ε. */
export const EPS = "a number from 1e-20 to 1";

/** @throws UserError for settings with which no update is finite. */
export function checkOptimizer(options: OptimizerOptions): void {
  const { learningRate, betas, eps, weightDecay, gradClip, warmupSteps } = withDefaults(ADAMW_DEFAULTS, options);
  const finite = (value: number) => value >= 0 && value < Number.POSITIVE_INFINITY;
  const share = (value: number) => value >= 0 && value < 1;
  const expectations = [
    ["learningRate", learningRate, finite, "a finite number of at least 0"],
    ["betas[0]", betas[0], share, "a number from 0 to below 1"],
    ["betas[1]", betas[1], share, "a number from 0 to below 1"],
    ["eps", eps, isEps, EPS],
    ["weightDecay", weightDecay, finite, "a finite number of at least 0"],
    ["gradClip", gradClip, finite, "a finite number of at least 0"],
    [
      "warmupSteps",
      warmupSteps,
      (value: number) => Number.isInteger(value) && value >= 0,
      "a whole number of at least 0",
    ],
  ] as const;
  for (const [name, value, holds, expected] of expectations) {
    if (!holds(value)) throw new UserError(`optimizer.${name} of train() is ${value}, expected ${expected}`);
  }
}

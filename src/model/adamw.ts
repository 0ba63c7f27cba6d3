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

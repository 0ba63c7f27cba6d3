import { withDefaults } from "../common/defaults.ts";
import { ADAMW_DEFAULTS, type OptimizerOptions } from "../model/adamw.ts";

export type ScheduleOptions = Pick<OptimizerOptions, "learningRate" | "schedule" | "warmupSteps">;

/**
 * The learning rate of one step. During warm-up it is learningRate · step / warmupSteps; after it, with r the share of
 * the remaining steps still to do (1 at the first, above 0 at the last): `linear` learningRate · r, `cosine`
 * learningRate · (1 + cos(π(1 − r))) / 2, `constant` learningRate.
 *
 * @param step counted from 1 to `steps`.
 * @example learningRate(1, 300, { learningRate: 3e-3, schedule: "linear", warmupSteps: 10 }); // 3e-4
 */
export function learningRate(step: number, steps: number, options: ScheduleOptions = {}): number {
  const { learningRate: full, schedule, warmupSteps } = withDefaults(ADAMW_DEFAULTS, options as OptimizerOptions);
  if (step <= warmupSteps) return (full * step) / warmupSteps;
  if (schedule === "constant") return full;
  const remaining = (steps - step + 1) / (steps - warmupSteps);
  return full * (schedule === "linear" ? remaining : (1 + Math.cos(Math.PI * (1 - remaining))) / 2);
}

import type { OptimizerConfig } from "../config/schema.ts";

export type ScheduleSettings = Pick<OptimizerConfig, "learning_rate" | "schedule" | "warmup_steps">;

/**
 * The learning rate of one step. During warm-up it is learning_rate · step / warmup_steps; after it, with r the share of
 * the remaining steps still to do (1 at the first, above 0 at the last): `linear` learning_rate · r, `cosine`
 * learning_rate · (1 + cos(π(1 − r))) / 2, `constant` learning_rate.
 *
 * @param step counted from 1 to `steps`.
 * @example learningRate(1, 300, { learning_rate: 3e-3, schedule: "linear", warmup_steps: 10 }); // 3e-4
 */
export function learningRate(step: number, steps: number, settings: ScheduleSettings): number {
  const { learning_rate, schedule, warmup_steps } = settings;
  if (step <= warmup_steps) return (learning_rate * step) / warmup_steps;
  if (schedule === "constant") return learning_rate;
  const remaining = (steps - step + 1) / (steps - warmup_steps);
  return learning_rate * (schedule === "linear" ? remaining : (1 + Math.cos(Math.PI * (1 - remaining))) / 2);
}

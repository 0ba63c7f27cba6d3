import type { StepMetrics } from "./metrics.ts";

/**
 * What the numbers of a step are called elsewhere; docs/regularizers.md says where the meaning differs. TRL's names are those of
 * its GRPO trainer and, for the weight, of its older PPO trainer; verl's those of its actor with a KL loss.
 */
export const METRIC_NAMES = {
  trl: {
    kl_divergence: "kl",
    weight: "objective/kl_coef",
    entropy: "entropy",
  },
  verl: {
    step: "training/global_step",
    loss: "actor/loss",
    kl_divergence: "actor/kl_loss",
    weight: "actor/kl_coef",
    entropy: "actor/entropy",
    grad_norm: "actor/grad_norm",
    learning_rate: "actor/lr",
    tokens_per_second: "perf/throughput",
  },
  "tinker-cookbook": {
    cross_entropy: "train_mean_nll",
    kl_divergence: "kl_policy_base",
    entropy: "optim/entropy",
  },
} as const;

/**
 * The numbers of a step by the names that another system's users know, for dashboards that are there already. What it has
 * no name for keeps klamp's.
 *
 * @example renameMetrics(row, "verl")["actor/kl_loss"] === row.kl_divergence
 */
export function renameMetrics(row: StepMetrics, system: keyof typeof METRIC_NAMES): Record<string, number | undefined> {
  const names: Readonly<Record<string, string>> = METRIC_NAMES[system];
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [names[name] ?? name, value]));
}

import { expect, test } from "vitest";
import { METRIC_NAMES, renameMetrics } from "../../src/train/metric-names.ts";

const row = {
  step: 3,
  loss: 1.5,
  cross_entropy: 1.2,
  kl_divergence: 0.6,
  kl_p99: 4,
  weight: 0.5,
  grad_norm: 2,
  learning_rate: 1e-3,
  tokens_per_second: 900,
  "anchor/kl_divergence": 0.1,
};

test("numbers keep their values under the names of another system; what it does not know keeps its own", () => {
  expect(renameMetrics(row, "verl")).toEqual({
    "training/global_step": 3,
    "actor/loss": 1.5,
    cross_entropy: 1.2,
    "actor/kl_loss": 0.6,
    kl_p99: 4,
    "actor/kl_coef": 0.5,
    "actor/grad_norm": 2,
    "actor/lr": 1e-3,
    "perf/throughput": 900,
    "anchor/kl_divergence": 0.1,
  });
  expect(renameMetrics(row, "trl")).toMatchObject({ kl: 0.6, "objective/kl_coef": 0.5, loss: 1.5 });
  expect(renameMetrics(row, "tinker-cookbook")).toMatchObject({ train_mean_nll: 1.2, kl_policy_base: 0.6, step: 3 });
});

test.each(Object.keys(METRIC_NAMES) as (keyof typeof METRIC_NAMES)[])("%s: no two have one name", (system) => {
  expect(Object.keys(renameMetrics(row, system))).toHaveLength(Object.keys(row).length);
});

import { describe, expect, test } from "vitest";
import { mergePenaltyMetrics, reportOf } from "../../src/loss/metrics.ts";
import { datumOf } from "../regularizer/datums.ts";

test("metrics of parts merge by extremes and sums; a part without one does not count, and weights stay", () => {
  expect(mergePenaltyMetrics([])).toEqual({});
  expect(
    mergePenaltyMetrics([
      { "a/kl_max": 1, "a/kl_min": 1, "a/weight": 0.3, ce: 1 },
      { ce: 2 },
      { "a/kl_max": 3, "a/kl_min": 3, "a/weight": 0.3, ce: 3 },
    ]),
  ).toEqual({ "a/kl_max": 3, "a/kl_min": 1, "a/weight": 0.3, ce: 6 });
  expect(mergePenaltyMetrics([{ weight: 2 }, { weight: 2 }])).toEqual({ weight: 2 });
});

describe("the report of a batch", () => {
  const data = [datumOf([1])];

  test("has norms and cosines instead of the sums that they are made from", () => {
    // Two parts of gradients: the regularizer's (3, 0 | 0, 4), the task's (1, 0 | 0, −1).
    const report = reportOf([
      { data, metrics: { "kl/task_logit_grad_square": 1, "kl/logit_grad_square": 9, "kl/task_grad_product": 3 } },
      { data, metrics: { "kl/task_logit_grad_square": 1, "kl/logit_grad_square": 16, "kl/task_grad_product": -4 } },
    ]);
    expect(report).toEqual({
      task_logit_grad_norm: Math.SQRT2,
      "kl/logit_grad_norm": 5,
      "kl/task_cosine": -1 / (5 * Math.SQRT2),
    });
  });

  test("has no cosine where a gradient is zero, or there is no task", () => {
    const zero = { "kl/logit_grad_square": 0, "kl/task_grad_product": 0, "kl/task_logit_grad_square": 1 };
    expect(reportOf([{ data, metrics: zero }])).toEqual({ "kl/logit_grad_norm": 0, task_logit_grad_norm: 1 });
    expect(reportOf([{ data, metrics: { "kl/logit_grad_square": 4 } }])).toEqual({ "kl/logit_grad_norm": 2 });
  });

  test("has weighted quantiles over the rows of all parts, of those that count", () => {
    const rows = (values: number[], weights: number[]) => ({
      "a/kl": {
        values: [{ data: Float32Array.from(values), shape: [values.length] }],
        weights: [{ data: Float32Array.from(weights), shape: [weights.length] }],
      },
    });
    const parts = [
      { data, metrics: {}, rows: rows([5, 1], [1, 1]) },
      { data, metrics: {}, rows: rows([99, 2], [0, 3]) },
      { data, metrics: {} },
    ];
    expect(reportOf(parts)).toEqual({ "a/kl_median": 2, "a/kl_p95": 5, "a/kl_p99": 5 });
    expect(reportOf([{ data, metrics: {}, rows: rows([1], [0]) }])).toEqual({});
  });
});

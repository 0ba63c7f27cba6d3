import type { Datum } from "../data/datum.ts";
import type { Penalty } from "./legacy.ts";
import { quantiles, type WeightedValue } from "./quantile.ts";

/**
 * The metrics of a whole batch from those of its parts: `*_max` and `*_min` by maximum and minimum, `weight`, which is the
 * same in all parts, as it is, all others by sum (means have been divided by the whole batch's weight already). A part
 * without a metric does not count for it.
 */
export function mergePenaltyMetrics(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const merged: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      const sofar = merged[name];
      if (sofar === undefined || /(^|\/)weight$/.test(name)) merged[name] = value;
      else if (name.endsWith("_max")) merged[name] = Math.max(sofar, value);
      else if (name.endsWith("_min")) merged[name] = Math.min(sofar, value);
      else merged[name] = sofar + value;
    }
  }
  return merged;
}

/** The metrics of one regularizer of a composition, without its name before them. */
export function ownMetrics(name: string, measured: Readonly<Record<string, number>>): Record<string, number> {
  const prefix = `${name}/`;
  return Object.fromEntries(
    Object.entries(measured).flatMap(([metric, value]) =>
      metric.startsWith(prefix) ? [[metric.slice(prefix.length), value] as const] : [],
    ),
  );
}

/** One part of a batch, and what was computed of it. */
export type MeasuredPart = Pick<Penalty, "metrics" | "rows"> & { readonly data: readonly Datum[] };

/** Sums that parts hand out and a report does not: ‖regularizer's gradient‖², its product with the task's, ‖task's gradient‖². */
export const SUMS = { own: "logit_grad_square", product: "task_grad_product", task: "task_logit_grad_square" } as const;

const QUANTILES = { median: 0.5, p95: 0.95, p99: 0.99 } as const;

/**
 * What is reported of a batch, from its parts: the merged metrics; of all rows together the weighted quantiles
 * `*_median`, `*_p95` and `*_p99`; and after a full report `logit_grad_norm`, the L2 norm of a gradient with respect to
 * all logits of the batch, `task_cosine`, the cosine between it and the task's (absent where one of the two is 0), and
 * without a prefix `task_logit_grad_norm`, the norm of the task's.
 * However the batch was split, the numbers are those of the whole.
 */
export function reportOf(parts: readonly MeasuredPart[]): Record<string, number> {
  const report: Record<string, number> = {};
  const merged = mergePenaltyMetrics(parts.map(({ metrics }) => metrics));
  for (const [name, value] of Object.entries(merged)) {
    const prefix = name.slice(0, name.lastIndexOf("/") + 1);
    const metric = name.slice(prefix.length);
    if (metric === SUMS.own) {
      report[`${prefix}logit_grad_norm`] = Math.sqrt(value);
      const [product, task] = [merged[prefix + SUMS.product], merged[prefix + SUMS.task]];
      if (product !== undefined && task && value > 0)
        report[`${prefix}task_cosine`] = product / Math.sqrt(value * task);
      if (task !== undefined) report.task_logit_grad_norm = Math.sqrt(task);
    } else if (metric !== SUMS.product && metric !== SUMS.task) report[name] = value;
  }
  for (const [name, rows] of collectRows(parts)) {
    const found = quantiles(rows, Object.values(QUANTILES));
    for (const [i, suffix] of Object.keys(QUANTILES).entries())
      if (found[i] !== undefined) report[`${name}_${suffix}`] = found[i];
  }
  return report;
}

/** The rows that count of all parts, by name. */
function collectRows(parts: readonly MeasuredPart[]): Map<string, WeightedValue[]> {
  const collected = new Map<string, WeightedValue[]>();
  for (const { rows = {} } of parts) {
    for (const [name, { values, weights }] of Object.entries(rows)) {
      const all = collected.get(name) ?? [];
      collected.set(name, all);
      for (const [i, { data }] of values.entries())
        for (const [row, value] of data.entries()) {
          const weight = weights[i]!.data[row]!;
          if (weight > 0) all.push({ value, weight });
        }
    }
  }
  return collected;
}

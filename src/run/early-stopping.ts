import type { Config } from "../config/schema.ts";
import type { StepMetrics } from "../train/metrics.ts";

/** @file Which step of a run was the best so far, and whether it is to end early: functions of the lines of `metrics.jsonl` alone. */

export type StopSettings = Pick<Config["evaluate"], "best" | "patience" | "max_drift">;

/** Whether a run looks for its best step at all; else its last one is what it gives. */
export function looksForBest({ best, patience, max_drift }: StopSettings): boolean {
  return best !== null || patience !== null || max_drift !== null;
}

/**
 * The step with the lowest value of `best` among those that were evaluated and lie within `max_drift`; without a `best` and
 * validation data the last of those. Null when there is none.
 */
export function bestStep(rows: readonly StepMetrics[], settings: StopSettings): number | null {
  const { max_drift } = settings;
  const fit = evaluated(rows).filter(({ eval_drift }) => max_drift === null || (eval_drift ?? 0) <= max_drift);
  const metric = settings.best ?? "eval_loss";
  let best: StepMetrics | undefined;
  for (const row of fit) {
    const [is, was] = [row[metric], best?.[metric]];
    if (is === undefined || was === undefined || is < was) best = row;
  }
  return best?.step ?? null;
}

/** Why a run ends before its last step, in words; null while it goes on. */
export function whyOver(rows: readonly StepMetrics[], settings: StopSettings): string | null {
  const { patience, max_drift } = settings;
  const all = evaluated(rows);
  const last = all.at(-1);
  if (!last || last.step !== rows.at(-1)!.step) return null;
  if (max_drift !== null && (last.eval_drift ?? 0) > max_drift) {
    return `the drift of ${last.eval_drift!.toFixed(3)} nats per token is above evaluate.max_drift, ${max_drift}`;
  }
  const best = bestStep(rows, settings);
  const since = best === null ? 0 : all.filter(({ step }) => step > best).length;
  if (patience === null || since < patience) return null;
  return `${settings.best ?? "eval_loss"} has not been lower than at step ${best} for ${since} evaluations`;
}

function evaluated(rows: readonly StepMetrics[]): StepMetrics[] {
  return rows.filter(isEvaluated);
}

/** Whether a step was evaluated. */
export function isEvaluated({ eval_loss, eval_drift }: StepMetrics): boolean {
  return eval_loss !== undefined || eval_drift !== undefined;
}

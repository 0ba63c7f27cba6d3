import { measuresOf, metricOf } from "./curves.ts";
import type { ReportData, StepData } from "./data.ts";
import { measure } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Identity, label } from "./identity.ts";

/** Each run's numbers at a glance, and its whole configuration folded away. */
export function runsSection(
  { runs, columns, measures }: Pick<ReportData, "runs" | "columns" | "measures">,
  looks: ReadonlyMap<string, Identity>,
): Html {
  const measured = measuresOf({ runs, measures });
  // Runs that measure different things share a column.
  const title = measured.length === 1 ? measured[0]!.title : "Regularizer";
  return html`<section aria-labelledby="runs">
<h2 id="runs">The ${runs.length === 1 ? "run" : "runs"}</h2>
<p class="note">Means over the last tenth of the steps, in ${columns.loss.unit}; the highest value of any position over all steps; mean tokens per second.</p>
<div class="scroll" role="region" aria-label="Runs" tabindex="0"><table class="runs" aria-labelledby="runs">
<thead><tr><th scope="col">Run</th><th scope="col">Steps</th><th scope="col">${columns.loss.title}</th><th scope="col">${columns.cross_entropy.title}</th><th scope="col">${title}</th><th scope="col">Highest</th><th scope="col">Tokens/s</th></tr></thead>
<tbody>${runs.map((run) => {
    const { name, description, metrics } = run;
    const [own] = measuresOf({ runs: [run], measures });
    return html`<tr><th scope="row">${label(looks.get(name)!)}<small>${description}</small></th><td>${metrics.length}</td><td>${late(metrics, "loss")}</td><td>${late(metrics, "cross_entropy")}</td><td>${own ? late(metrics, own.metric) : measure(null)}</td><td>${highest(metrics, own?.largest)}</td><td>${speed(metrics)}</td></tr>`;
  })}</tbody></table></div>
${runs.map(({ name, config }) => config !== "" && html`<details><summary>Configuration of ${label(looks.get(name)!)}</summary><pre tabindex="0">${config}</pre></details>`)}
</section>`;
}

function late(metrics: readonly StepData[], key: string): string {
  return measure(mean(numbers(metrics.slice(-Math.ceil(metrics.length / 10)), key)));
}

function highest(metrics: readonly StepData[], key: string | undefined): string {
  const values = key === undefined ? [] : numbers(metrics, key);
  return measure(values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b)));
}

function speed(metrics: readonly StepData[]): string {
  return measure(mean(numbers(metrics, "tokens_per_second")));
}

function numbers(metrics: readonly StepData[], key: string): number[] {
  return metrics.map((row) => metricOf(row, key)).filter((value) => value !== null && value !== undefined);
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

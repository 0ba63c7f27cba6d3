import type { RunData, StepData } from "./data.ts";
import { measure } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Identity, label } from "./identity.ts";

/** Each run's numbers at a glance, and its whole configuration folded away. */
export function runsSection(runs: readonly RunData[], looks: ReadonlyMap<string, Identity>): Html {
  return html`<section aria-labelledby="runs">
<h2 id="runs">The ${runs.length === 1 ? "run" : "runs"}</h2>
<p class="note">Means over the last tenth of the steps, in nats per token; the highest KL of any row over all steps; mean tokens per second.</p>
<div class="scroll" role="region" aria-label="Runs" tabindex="0"><table class="runs" aria-labelledby="runs">
<thead><tr><th scope="col">Run</th><th scope="col">Steps</th><th scope="col">Loss</th><th scope="col">Cross-entropy</th><th scope="col">KL</th><th scope="col">Highest KL</th><th scope="col">Tokens/s</th></tr></thead>
<tbody>${runs.map(
    ({ name, description, metrics }) =>
      html`<tr><th scope="row">${label(looks.get(name)!)}<small>${description}</small></th><td>${metrics.length}</td><td>${late(metrics, "loss")}</td><td>${late(metrics, "cross_entropy")}</td><td>${late(metrics, "kl_divergence")}</td><td>${highest(metrics)}</td><td>${speed(metrics)}</td></tr>`,
  )}</tbody></table></div>
${runs.map(({ name, config }) => config !== "" && html`<details><summary>Configuration of ${label(looks.get(name)!)}</summary><pre tabindex="0">${config}</pre></details>`)}
</section>`;
}

function late(metrics: readonly StepData[], key: "loss" | "cross_entropy" | "kl_divergence"): string {
  return measure(mean(numbers(metrics.slice(-Math.ceil(metrics.length / 10)), key)));
}

function highest(metrics: readonly StepData[]): string {
  const values = numbers(metrics, "kl_max");
  return measure(values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b)));
}

function speed(metrics: readonly StepData[]): string {
  return measure(mean(numbers(metrics, "tokens_per_second")));
}

function numbers(metrics: readonly StepData[], key: keyof StepData): number[] {
  return metrics.map((row) => row[key]).filter((value) => value !== null && value !== undefined) as number[];
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

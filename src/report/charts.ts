import { CLIENT } from "./client.ts";
import { buildCurves, type Chart, type Curves } from "./curves.ts";
import type { ReportData } from "./data.ts";
import { measure } from "./format.ts";
import { type Html, html, inlineJson, inlineScript } from "./html.ts";
import { type Identity, stroke } from "./identity.ts";
import { uPlotScript } from "./uplot.ts";

/** The training curves: one chart per quantity, all runs in each, drawn by uPlot in the reader's browser. */
export function chartsSection(
  data: Pick<ReportData, "runs" | "columns" | "measures" | "evaluations">,
  looks: ReadonlyMap<string, Identity>,
): Html {
  const curves = buildCurves(data);
  const { steps, stride, charts } = curves;
  if (charts.length === 0) return html``;
  const large = charts.filter(({ small }) => !small).length;
  const faint = charts.some((chart) => chart.curves.some(({ smooth }) => smooth !== null));
  return html`<section aria-labelledby="curves">
<h2 id="curves">How it went</h2>
<p class="note">${faint && "Bold: smoothed. Faint: as measured. "}${stride > 1 && `Each point is the mean of ${stride} steps. `}The numbers are of step <span class="step">${steps.at(-1)!}</span>, as measured<span class="scripted">; point at a curve for another</span>.${data.measures.length > 0 && large > 2 && ` ${charts[2]!.title} is on the text that each run’s regularizer works on.`}</p>
<noscript><p class="note">The curves are drawn by a script, and scripts are switched off here.</p></noscript>
<div class="charts" data-large="${large}">${charts.map((chart) => figure(chart, steps, looks))}</div>
<script type="application/json" id="curves-data">${inlineJson(drawn(curves, looks))}</script>
<script>${inlineScript(uPlotScript())}</script>
<script>${inlineScript(CLIENT)}</script>
</section>`;
}

function figure(
  { id, title, unit, small, log, curves }: Chart,
  steps: readonly number[],
  looks: ReadonlyMap<string, Identity>,
): Html {
  const ends = curves.map(({ run, raw }) => {
    const known = raw.filter((value) => value !== null);
    return `${run} from ${measure(known[0])} to ${measure(known.at(-1))}`;
  });
  const says = `${title} over ${steps.length} steps: ${ends.join("; ")}.`;
  return html`<figure class="chart${small && " small"}" id="chart-${id}">
<figcaption><h3>${title}</h3>${unit && html` <small>${unit}</small>`}${!small && html`<button type="button" class="scripted" aria-pressed="${log ? "true" : "false"}" aria-label="Logarithmic scale for ${title}">log</button>`}</figcaption>
<ul class="legend">${curves.map(({ run, raw }) => html`<li>${stroke(looks.get(run)!)}${run} <b class="value">${measure(raw.at(-1))}</b></li>`)}</ul>
<div class="plot" role="img" aria-label="${says}"></div>
</figure>`;
}

/** What the script in the page needs. */
function drawn({ steps, charts }: Curves, looks: ReadonlyMap<string, Identity>) {
  return {
    steps,
    charts: charts.map(({ id, curves }) => ({
      id,
      curves: curves.map(({ run, raw, smooth }) => ({ dash: looks.get(run)!.dash, raw, smooth })),
    })),
  };
}

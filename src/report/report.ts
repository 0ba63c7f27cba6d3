import { chartsSection } from "./charts.ts";
import { THEME_CLIENT } from "./client.ts";
import type { ReportData } from "./data.ts";
import { date } from "./format.ts";
import { glossary } from "./glossary.ts";
import { Html, html, inlineScript } from "./html.ts";
import { identities } from "./identity.ts";
import { runsSection } from "./runs.ts";
import { samplesSection } from "./samples.ts";
import { scoresSection } from "./scores.ts";
import { STYLE } from "./style.ts";
import { uPlotStyle } from "./uplot.ts";

/**
 * The report as one HTML file that needs nothing else: style, script and data are inside, and its content security
 * policy forbids every request. The same data give the same file.
 *
 * @example writeFileSync("report.html", renderReport({ title: "First run", created, conclusion, facts, runs, samples }));
 */
export function renderReport(data: ReportData): string {
  const { title, created, conclusion, facts, scores, runs, samples } = data;
  const looks = identities(data);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${new Html(uPlotStyle() + STYLE)}</style>
</head>
<body>
<main>
<header>
<p class="kicker"><span>klamp</span> <time datetime="${created}">${date(created)}</time><button type="button" id="theme" class="scripted"></button></p>
<h1>${title}</h1>
${conclusion.map((sentence) => html`<p class="lede">${sentence}</p>`)}
<dl class="facts">${Object.entries(facts).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>
${scores && scoresSection(scores, runs, looks)}
${chartsSection(data, looks)}
${samples.length > 0 && samplesSection(samples, looks)}
${runs.length > 0 && runsSection(data, looks)}
${glossary(data)}
<footer><p>Made by klamp. This file is complete in itself: it loads nothing and sends nothing.</p></footer>
</main>
<script>${inlineScript(THEME_CLIENT)}</script>
</body>
</html>
`;
  return page.text;
}

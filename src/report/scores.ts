import type { RunData, Score, ScoreColumn, Scores } from "./data.ts";
import { measure, percent } from "./format.ts";
import { type Html, html } from "./html.ts";
import { badge, type Identity, label } from "./identity.ts";
import { tradeOff } from "./trade-off.ts";

/** What was kept and what was learned: the picture, the runs in one line each, and the table. */
export function scoresSection(scores: Scores, runs: readonly RunData[], looks: ReadonlyMap<string, Identity>): Html {
  return html`<section aria-labelledby="kept">
<h2 id="kept">Kept against learned</h2>
<div class="headline">
<figure>${tradeOff(scores.columns, looks)}</figure>
<ul class="models">${scores.columns.map((column, i) => {
    const about = i === 0 ? "before fine-tuning" : runs.find(({ name }) => name === column.name)?.description;
    return html`<li><h3>${label(looks.get(column.name)!)}</h3>${about && html`<p>${about}</p>`}
<dl>${meter("kept", column.retention)}${meter("learned", column.task.strict)}<div><dt>drift</dt><dd>${drift(column, i)}</dd></div></dl></li>`;
  })}</ul>
</div>
${table(scores, looks)}
${scores.notes.map((note) => html`<p class="note">${note}</p>`)}
</section>`;
}

function meter(name: string, share: number): Html {
  return html`<div><dt>${name}</dt><dd>${percent(share)}<span class="meter" aria-hidden="true"><i style="width:${width(share)}"></i></span></dd></div>`;
}

function table({ skills, task, columns }: Scores, looks: ReadonlyMap<string, Identity>): Html {
  const base = columns[0];
  const hasLenient = columns.some((column) =>
    [column.task, ...Object.values(column.skills)].some(({ lenient }) => lenient !== null),
  );
  const span = columns.length + 1;
  return html`<div class="scroll" role="region" aria-label="Scores" tabindex="0"><table class="scores" style="--columns:${columns.length}">
<caption>Exact-match accuracy of every skill${hasLenient && html`: <b>strict</b>, and <small>lenient</small> in small type`}. Colour and bar show how much of the base’s accuracy is left.</caption>
<thead><tr><th scope="col">Skill</th>${columns.map(({ name }) => html`<th scope="col">${badge(looks.get(name)!)}<br>${name}</th>`)}</tr></thead>
<tbody><tr class="group"><th scope="rowgroup" colspan="${span}">The base’s skills</th></tr>
${skills.map(
  (skill) =>
    html`<tr><th scope="row">${skill}</th>${columns.map((column, i) => skillCell(column.skills[skill], i === 0 ? undefined : base?.skills[skill]))}</tr>`,
)}
<tr class="total"><th scope="row">kept (mean)</th>${columns.map(({ retention }) => html`<td><b>${percent(retention)}</b></td>`)}</tr></tbody>
<tbody><tr class="group"><th scope="rowgroup" colspan="${span}">The new task</th></tr>
<tr class="total"><th scope="row">${task}</th>${columns.map((column) => html`<td>${numbers(column.task)}</td>`)}</tr></tbody>
<tbody><tr class="group"><th scope="rowgroup" colspan="${span}">Distance from the base</th></tr>
<tr class="total"><th scope="row">drift <small>nats per token</small></th>${columns.map((column, i) => html`<td><b>${drift(column, i)}</b></td>`)}</tr></tbody>
</table></div>`;
}

/** A score, shaded by what is left of the base's; the base's own column is not. */
function skillCell(score: Score | undefined, base: Score | undefined): Html {
  if (!score) return html`<td>–</td>`;
  if (!base || base.strict === 0) return html`<td>${numbers(score)}</td>`;
  const kept = score.strict / base.strict;
  const says = `${percent(kept)} of the base’s accuracy kept`;
  return html`<td class="kept" style="--kept-share:${width(kept)}" title="${says}">${numbers(score)}<span class="unseen">, ${says}</span></td>`;
}

function numbers({ strict, lenient }: Score): Html {
  return html`<b>${percent(strict)}</b>${lenient !== null && html` <small><span class="unseen">lenient </span>${percent(lenient)}</small>`}`;
}

function drift({ drift }: ScoreColumn, column: number): string {
  return drift === null && column === 0 ? "0" : measure(drift);
}

function width(share: number): string {
  return `${(Math.min(1, Math.max(0, share)) * 100).toFixed(1)}%`;
}

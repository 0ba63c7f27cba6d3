import type { Completion, Sample } from "./data.ts";
import { visible } from "./format.ts";
import { type Html, html } from "./html.ts";
import { type Identity, label } from "./identity.ts";

/** What each model answers, side by side; one below the other where the page is narrow. Roles are spelled out since the layout changes `display`. */
export function samplesSection(samples: readonly Sample[], looks: ReadonlyMap<string, Identity>): Html {
  const models = [...looks.values()].filter(({ name }) => samples.some(({ completions }) => name in completions));
  const judged = samples.some(({ completions }) => Object.values(completions).some(({ right }) => right !== null));
  return html`<section aria-labelledby="samples">
<h2 id="samples">In its own words</h2>
<p class="note">The same prompts, answered by each model.${judged && html` <span class="right">✓ right</span> and <span class="wrong">✗ wrong</span> by the strict measure: the whole answer is the expected one.`}</p>
<table class="samples" role="table" aria-labelledby="samples">
<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Prompt</th>${models.map((model) => html`<th role="columnheader" scope="col">${label(model)}</th>`)}</tr></thead>
<tbody role="rowgroup">${samples.map(
    ({
      skill,
      prompt,
      expected,
      completions,
    }) => html`<tr role="row"><th role="rowheader" scope="row">${skill !== null && html`<span class="skill">${skill}</span>`}<code>${visible(prompt)}</code>${expected !== null && html`<span class="expected">expected <code>${visible(expected)}</code></span>`}</th>
${models.map((model) => html`<td role="cell"><span class="narrow" aria-hidden="true">${label(model)}</span>${answer(completions[model.name])}</td>`)}</tr>`,
  )}</tbody></table>
</section>`;
}

function answer(completion: Completion | undefined): Html {
  if (!completion) return html`–`;
  const { text, right } = completion;
  const judged =
    right === null ? null : right ? html`<span class="right">✓ right</span>` : html`<span class="wrong">✗ wrong</span>`;
  return html`${text === "" ? html`<em>nothing</em>` : html`<code>${visible(text)}</code>`}${judged}`;
}

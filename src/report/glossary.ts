import { measuresOf } from "./curves.ts";
import type { MetricInfo, ReportData } from "./data.ts";
import { type Html, html } from "./html.ts";

interface Term {
  readonly term: string;
  readonly meaning: string;
}

const SCORE_TERMS: readonly Term[] = [
  {
    term: "Kept, or retention",
    meaning:
      "Each base skill’s accuracy after fine-tuning divided by its accuracy before, averaged over the skills. 100 % means that nothing was forgotten.",
  },
  { term: "Learned", meaning: "Strict accuracy on held-out questions of the new task." },
  {
    term: "Strict and lenient",
    meaning:
      "Strict counts an answer only if all of it is the expected text. Lenient counts it if the expected answer occurs in it, so a right answer in the wrong style still shows.",
  },
  {
    term: "Drift",
    meaning:
      "How far the model’s next-token distribution has moved from its base on given text, in nats per token; 0 means not at all. Drift is a distance, not yet forgetting: that is what the skills show.",
  },
];

const ANCHOR: Term = {
  term: "Anchor",
  meaning:
    "Other text, without labels, on which the model is held to its reference: a file, or samples drawn from the base itself.",
};

const NAT: Term = {
  term: "Nat",
  meaning: "Unit of information with the natural logarithm; 1 nat is about 1.44 bits.",
};

/** The words of the page, in plain language: those that it uses. */
export function glossary(data: ReportData): Html {
  const { columns } = data;
  const measured = measuresOf(data);
  const terms = [
    ...(data.scores ? SCORE_TERMS : []),
    ...[...measured, columns.cross_entropy, columns.loss].map(termOf),
    ...(measured.some(({ unit }) => unit === columns.loss.unit) ? [ANCHOR] : []),
    NAT,
  ];
  return html`<section class="glossary" aria-labelledby="words">
<h2 id="words">The words</h2>
<dl>${terms.map(({ term, meaning }) => html`<div><dt>${term}</dt><dd>${meaning}</dd></div>`)}</dl>
</section>`;
}

function termOf({ title, formula, meaning }: MetricInfo): Term {
  return { term: title, meaning: formula === undefined ? meaning : `${meaning} ${formula}.` };
}

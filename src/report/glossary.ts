import type { ReportData } from "./data.ts";
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

const KL_TERMS: readonly Term[] = [
  {
    term: "KL(reference‖model)",
    meaning:
      "Averages over what the reference would say: expensive where the model no longer gives room to something that the reference considers likely.",
  },
  {
    term: "KL(model‖reference)",
    meaning:
      "Averages over what the model would say: expensive where the model says something that the reference considers unlikely.",
  },
  {
    term: "Anchor",
    meaning:
      "Other text, without labels, on which the model is held to its reference: a file, or samples drawn from the base itself.",
  },
];

/** By the metric that is shown. */
const MEASURED_TERMS: readonly (Term & { readonly metric: string })[] = [
  {
    metric: "js_divergence",
    term: "Jensen–Shannon divergence",
    meaning: "How far model and reference are from a mixture of both: never more than ln 2 = 0.69 nats.",
  },
  {
    metric: "entropy",
    term: "Entropy",
    meaning: "How undecided the model is between tokens: 0 where one is certain, highest where all are equally likely.",
  },
  {
    metric: "consistency",
    term: "Consistency",
    meaning: "How far what the model says moves when the text before it is changed a little.",
  },
  {
    metric: "orthogonality",
    term: "Orthogonality",
    meaning: "How much the directions of the adapter’s rank repeat each other; 0 where none does.",
  },
];

const CURVE_TERMS: readonly Term[] = [
  {
    term: "Cross-entropy",
    meaning: "Mean surprise of the model at the right tokens. 0 means that it is certain of them.",
  },
  { term: "Loss", meaning: "What training makes small: cross-entropy plus each regularizer times its weight." },
  { term: "Nat", meaning: "Unit of information with the natural logarithm; 1 nat is about 1.44 bits." },
];

/** The words of the page, in plain language: those that it uses. */
export function glossary({ scores, runs }: ReportData): Html {
  const regularized = runs.some(({ metrics }) =>
    metrics.some(({ kl_divergence }) => typeof kl_divergence === "number"),
  );
  const names = new Set(runs.flatMap(({ metrics }) => metrics.flatMap(Object.keys)));
  const measured = MEASURED_TERMS.filter(({ metric }) =>
    [...names].some((name) => name === metric || name.endsWith(`/${metric}`)),
  );
  const terms = [...(scores ? SCORE_TERMS : []), ...(regularized ? KL_TERMS : []), ...measured, ...CURVE_TERMS];
  return html`<section class="glossary" aria-labelledby="words">
<h2 id="words">The words</h2>
<dl>${terms.map(({ term, meaning }) => html`<div><dt>${term}</dt><dd>${meaning}</dd></div>`)}</dl>
</section>`;
}

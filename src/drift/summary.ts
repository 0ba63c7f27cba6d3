import { shortJson } from "../data/short-json.ts";
import type { Evaluation } from "./evaluation.ts";
import type { Score } from "./exact-match.ts";

/** A run among others: what set it apart, and what was measured after it. */
export interface SummaryInput {
  readonly name: string;
  /** Weight of its regularizer; 0 without one. */
  readonly weight: number;
  /** What it measures, as a formula: `KL(reference‖model)`; null without one. */
  readonly regularizer: string | null;
  readonly text: "completions" | "anchor" | null;
  /** What it is held to: `base`, `start`, `file PATH`, …; null without a reference. */
  readonly reference: string | null;
  /** Of the training data at the last step, in nats per token. Default: not known. */
  readonly cross_entropy?: number;
  readonly evaluation: Evaluation;
}

/** Shares from 0 to 1, drift in nats per token; null where nothing was measured. */
export interface SummaryRow {
  /** Strict exact match on the new task. */
  readonly task: number | null;
  readonly task_lenient: number | null;
  /** Mean over base skills of strict accuracy relative to the base's. */
  readonly retention: number | null;
  readonly skills: Readonly<Record<string, number>>;
  readonly skills_lenient: Readonly<Record<string, number>>;
  /** KL(reference‖model) on text drawn from the base. */
  readonly drift: number | null;
  readonly validation: { readonly cross_entropy: number; readonly drift: number } | null;
}

/** A run's row of the comparison, with what set it apart. */
export interface SummaryRun extends SummaryRow, Omit<SummaryInput, "evaluation"> {}

/** The comparison of runs with their base: `summary.json`, but for where and when. */
export interface Summary {
  readonly base: SummaryRow;
  readonly runs: readonly SummaryRun[];
  readonly conclusion: string;
}

/** Compares runs with their base, and says in one sentence which balances best what was learned with what was kept. */
export function summarize(base: Evaluation, runs: readonly SummaryInput[]): Summary {
  const rows = runs.map(({ evaluation, ...run }) => ({ ...run, ...toRow(evaluation, base) }));
  const doubts = runs.flatMap((run) => doubt(run) ?? []);
  return { base: toRow(base, base), runs: rows, conclusion: [summarySentence(rows), ...doubts].join(" ") };
}

function toRow({ task, skills, drift, validation }: Evaluation, base: Evaluation): SummaryRow {
  const each = (pick: (score: Score) => number) =>
    Object.fromEntries(Object.entries(skills).map(([name, score]) => [name, pick(score)]));
  return {
    task: task?.strict ?? null,
    task_lenient: task?.lenient ?? null,
    retention: retention(skills, base.skills),
    skills: each(({ strict }) => strict),
    skills_lenient: each(({ lenient }) => lenient),
    drift,
    validation,
  };
}

/** Skills that the base does not have at all say nothing about forgetting, and are left out. */
function retention(after: Evaluation["skills"], before: Evaluation["skills"]): number | null {
  const had = Object.entries(before).filter(([, { strict }]) => strict > 0);
  if (had.length === 0) return null;
  return had.reduce((sum, [name, { strict }]) => sum + after[name]!.strict / strict, 0) / had.length;
}

/** What is learned by heart should be answered. */
const LEARNED = { cross_entropy: 0.1, task: 0.05 };

/** Questions a run whose training data is learned and whose new task is not, with what to look at. */
function doubt({ name, cross_entropy, evaluation: { task, samples } }: SummaryInput): string | undefined {
  if (!task || task.strict > LEARNED.task) return undefined;
  if (cross_entropy === undefined || !(cross_entropy < LEARNED.cross_entropy)) return undefined;
  const wrong = samples.find(({ set, right }) => set === "task" && !right);
  const said = wrong ? `it says ${shortJson(wrong.text)} where ${shortJson(wrong.expected)} is expected, so ` : "";
  return `${capitalized(name)}, the model predicts its training data (cross-entropy ${cross_entropy.toFixed(3)}) and yet scores ${percent(task.strict)} on the new task: ${said}look at where its answers end and at whether it is asked as it was trained (klamp data shows both).`;
}

/** One sentence of what the numbers say. */
function summarySentence(runs: readonly SummaryRun[]): string {
  const scored = runs.filter(({ task, retention }) => task !== null && retention !== null);
  const free = scored.find(({ weight }) => weight === 0);
  // The geometric mean wants both: a run that learns nothing keeps everything.
  const balance = (run: SummaryRun) => Math.sqrt(Math.min(1, run.retention!) * run.task!);
  const [best] = scored.filter(({ weight }) => weight > 0).sort((a, b) => balance(b) - balance(a));
  if (!free || !best) return [...new Set(runs.map(sentenceAlone))].join(" ");
  const says = (run: SummaryRun) =>
    `keeps ${percent(run.retention!)} of the base's skills and scores ${percent(run.task!)} on the new task`;
  const verdict = balance(best) > balance(free) ? "the best balance" : "no regularizer balances better, the nearest";
  return `Fine-tuning ${free.name} ${says(free)}; ${verdict}, ${best.name}, ${says(best)}.`;
}

/** The same of a run that there is nothing to compare with. */
function sentenceAlone({ name, task, retention, validation, drift }: SummaryRun): string {
  const facts = [
    ...(task === null ? [] : [`scores ${percent(task)} on the new task`]),
    ...(retention === null ? [] : [`keeps ${percent(retention)} of the base's skills`]),
    ...(validation ? [`needs ${validation.cross_entropy.toFixed(3)} nats per token for the validation data`] : []),
    ...(drift === null ? [] : [`is ${drift.toFixed(3)} nats per token from its base`]),
  ];
  const advice =
    task === null && retention === null
      ? "give evaluate.task and evaluate.skills to see what was learned and what was forgotten"
      : "";
  if (facts.length === 0) return `Nothing was measured: ${advice}.`;
  const list = new Intl.ListFormat("en").format(facts);
  return `${capitalized(name)}, the model ${list}${advice && `; ${advice}`}.`;
}

function capitalized(name: string): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

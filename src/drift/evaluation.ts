import type { Datum } from "../data/datum.ts";
import type { EvaluationRow } from "../data/evaluation.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { drawBaseSamples } from "../model/base-samples.ts";
import type { SamplingClient } from "../model/legacy.ts";
import { measureText, type TextMeasure } from "./drift.ts";
import { exactMatch, type Score } from "./exact-match.ts";

/** What a model is asked before and after training. */
export interface EvaluationPlan {
  readonly tokenizer: Tokenizer;
  /** The new task. */
  readonly task: readonly EvaluationRow[] | null;
  /** What the base can do, by name. */
  readonly skills: ReadonlyMap<string, readonly EvaluationRow[]>;
  /** The most tokens of an answer. */
  readonly maxTokens: number;
  /** Data of the new task that is not trained on. */
  readonly validation: readonly Datum[] | null;
  /** Text drawn from the base, on which drift is measured; empty: not measured. */
  readonly baseSamples: readonly Datum[];
  /** How many answers are kept to be shown. */
  readonly completions: number;
}

/** What was measured of one model. */
export interface Evaluation {
  readonly task: Score | null;
  readonly skills: Readonly<Record<string, Score>>;
  /** KL(reference‖model) on text drawn from the base, in nats per token; null: not measured. */
  readonly drift: number | null;
  /** On the validation data, drift as KL(reference‖model) too. */
  readonly validation: TextMeasure | null;
  readonly samples: readonly ShownAnswer[];
}

/** A question with what the model answered. */
export interface ShownAnswer {
  /** `task`, or the name of a skill. */
  readonly set: string;
  readonly prompt: string;
  readonly expected: string;
  readonly text: string;
  readonly right: boolean;
}

/** The seed of the texts on which drift is measured: never that of an anchor, which training has seen. */
const DRIFT_SEED = 7_919;

/** Draws the texts on which drift is measured: fixed by the base alone, so that all runs are measured on the same. */
export function drawDriftSamples(base: SamplingClient, tokenizer: Tokenizer, samples: number, maxTokens: number) {
  return samples === 0
    ? Promise.resolve([])
    : drawBaseSamples(base, tokenizer, { samples, max_tokens: maxTokens, temperature: 1, seed: DRIFT_SEED });
}

/** Asks a model everything in the plan, and measures its drift from the base. What is not asked for is null or empty. */
export async function evaluate(model: SamplingClient, base: SamplingClient, plan: EvaluationPlan): Promise<Evaluation> {
  const { tokenizer, maxTokens, validation, baseSamples } = plan;
  const sets = [...(plan.task ? [["task", plan.task] as const] : []), ...plan.skills];
  const shown = howManyShown(
    sets.map(([name]) => name),
    plan,
  );
  const scores: Record<string, Score> = {};
  const samples: ShownAnswer[] = [];
  for (const [set, rows] of sets) {
    const { score, answers } = await exactMatch(model, rows, tokenizer, maxTokens);
    scores[set] = score;
    for (const [i, { text, right }] of answers.slice(0, shown.get(set)).entries()) {
      const { prompt, completion } = rows[i]!;
      samples.push({ set, prompt: tokenizer.decode(prompt), expected: completion, text, right });
    }
  }
  const { task = null, ...skills } = scores;
  return {
    task,
    skills,
    drift: baseSamples.length > 0 ? (await measureText(model, base, baseSamples)).drift : null,
    validation: validation && (await measureText(model, base, validation)),
    samples,
  };
}

/** Half of the shown answers are the task's, the others go round the skills. */
function howManyShown(sets: readonly string[], { task, completions }: EvaluationPlan): Map<string, number> {
  const shown = new Map(sets.map((set) => [set, 0]));
  const skills = sets.slice(task ? 1 : 0);
  const ofTask = task ? (skills.length > 0 ? Math.ceil(completions / 2) : completions) : 0;
  if (task) shown.set("task", ofTask);
  for (let i = 0; i < completions - ofTask && skills.length > 0; i++) {
    const skill = skills[i % skills.length]!;
    shown.set(skill, shown.get(skill)! + 1);
  }
  return shown;
}

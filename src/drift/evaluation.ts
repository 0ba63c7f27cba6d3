import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import type { Question } from "../data/questions.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { drawBaseSamples } from "../model/base-samples.ts";
import type { SamplingClient, Waiting } from "../model/contract.ts";
import { EVALUATION_DEFAULTS } from "../model/training.ts";
import { type DriftMeasured, measureDrift } from "./drift.ts";
import { exactMatch, type Score } from "./exact-match.ts";

/** What a model is asked before and after training. */
export interface EvaluationPlan {
  readonly tokenizer: Tokenizer;
  /** The new task. Default: none. */
  readonly task?: readonly Question[] | null | undefined;
  /** What the base can do, by name. Default: nothing. */
  readonly skills?: ReadonlyMap<string, readonly Question[]> | undefined;
  /** The most tokens of an answer. Default 32. */
  readonly maxTokens?: number | undefined;
  /** Data of the new task that is not trained on. Default: none. */
  readonly validation?: readonly Datum[] | null | undefined;
  /** Text drawn from the base, on which drift is measured. Default: drift is not measured. */
  readonly baseSamples?: readonly Datum[] | undefined;
  /** How many answers are kept to be shown. Default 4. */
  readonly completions?: number | undefined;
}

/** What was measured of one model. */
export interface Evaluation {
  readonly task: Score | null;
  readonly skills: Readonly<Record<string, Score>>;
  /** KL(reference‖model) on text drawn from the base, in nats per token; null: not measured. */
  readonly drift: number | null;
  /** On the validation data, drift as KL(reference‖model) too. */
  readonly validation: DriftMeasured | null;
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
export async function drawDriftSamples(
  base: SamplingClient,
  tokenizer: Tokenizer,
  samples: number = EVALUATION_DEFAULTS.driftSamples,
  maxTokens: number = EVALUATION_DEFAULTS.maxTokens,
  waiting?: Waiting,
): Promise<Datum[]> {
  if (samples === 0) return [];
  return drawBaseSamples(
    base,
    tokenizer,
    { samples, max_tokens: maxTokens, temperature: 1, seed: DRIFT_SEED },
    waiting,
  );
}

/**
 * Asks a model everything in the plan, and measures its drift from the base. What is not asked for is null or empty.
 *
 * @throws UserError where drift is asked for and an engine tells no whole distributions.
 * @example await evaluate(client.sampler("current"), client.sampler("base"), { tokenizer, task: questions });
 */
export async function evaluate(
  model: SamplingClient,
  base: SamplingClient,
  plan: EvaluationPlan,
  waiting: Waiting = {},
): Promise<Evaluation> {
  const { tokenizer, task: questions, skills: known = new Map<string, readonly Question[]>(), validation } = plan;
  const { maxTokens = EVALUATION_DEFAULTS.maxTokens, completions = EVALUATION_DEFAULTS.completions } = plan;
  const sets = [...(questions ? [["task", questions] as const] : []), ...known];
  const shown = howManyShown([...known.keys()], Boolean(questions), completions);
  const measured = [plan.baseSamples ?? [], validation ?? []];
  const next = inParts(
    waiting,
    [...sets.map(([, rows]) => rows), ...measured].map(({ length }) => length),
  );
  const scores: Record<string, Score> = {};
  const samples: ShownAnswer[] = [];
  for (const [set, rows] of sets) {
    const { score, answers } = await exactMatch(model, rows, tokenizer, maxTokens, next());
    scores[set] = score;
    for (const [i, { text, right }] of answers.slice(0, shown.get(set)).entries()) {
      const { prompt, completion } = rows[i]!;
      samples.push({ set, prompt: tokenizer.decode(prompt), expected: completion, text, right });
    }
  }
  const results: (DriftMeasured | null)[] = [];
  for (const data of measured) {
    const part = next();
    const [p, q] = data.length > 0 ? [withDistributions(model), withDistributions(base)] : [];
    results.push(p && q ? await measureDrift(p, q, data, undefined, part) : null);
  }
  const [drift, ofValidation] = results as [DriftMeasured | null, DriftMeasured | null];
  const { task = null, ...skills } = scores;
  return { task, skills, drift: drift?.drift ?? null, validation: ofValidation, samples };
}

/** The progress of work in parts of so many pieces, one part after the other. */
function inParts({ signal, onProgress }: Waiting, sizes: readonly number[]): () => Waiting {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let [part, before] = [0, 0];
  return () => {
    const [from, size] = [before, sizes[part++]!];
    before += size;
    return { signal, onProgress: (share) => onProgress?.((from + share * size) / total) };
  };
}

function withDistributions(model: SamplingClient) {
  if (model.distributions) return { distributions: model.distributions.bind(model) };
  throw new UserError(
    "drift and validation loss need whole distributions, which this engine does not tell: use an embedded engine, or take evaluate.drift_samples and data.validation out",
  );
}

/** Half of the shown answers are the task's, the others go round the skills. */
function howManyShown(skills: readonly string[], hasTask: boolean, completions: number): Map<string, number> {
  const shown = new Map(skills.map((skill) => [skill, 0]));
  const ofTask = hasTask ? (skills.length > 0 ? Math.ceil(completions / 2) : completions) : 0;
  if (hasTask) shown.set("task", ofTask);
  for (let i = 0; i < completions - ofTask && skills.length > 0; i++) {
    const skill = skills[i % skills.length]!;
    shown.set(skill, shown.get(skill)! + 1);
  }
  return shown;
}

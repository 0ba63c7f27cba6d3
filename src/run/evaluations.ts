import { UserError } from "../common/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Datum } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { measureDrift } from "../drift/drift.ts";
import { type EvaluationPlan, evaluate, type ShownAnswer } from "../drift/evaluation.ts";
import { measureLosses } from "../drift/losses.ts";
import { crossEntropyLoss } from "../loss/cross-entropy.ts";
import { SINGLE_STEP } from "../loss/items.ts";
import type { SamplingClient, VocabularyModel, Waiting } from "../model/contract.ts";
import type { Regularizer } from "../regularizer/contract.ts";

/** What is measured while a run trains. */
export interface EvaluationsOptions {
  readonly settings: Config["evaluate"];
  readonly tokenizer: Tokenizer;
  readonly plan: EvaluationPlan;
  /** The validation data with what the regularizers read of them. */
  readonly validation: readonly Datum[];
  readonly regularizers: readonly Regularizer[];
  readonly base: SamplingClient;
  readonly waiting: (what: string) => Waiting;
  readonly note: (text: string) => void;
}

/** What was measured at a step: numbers for its line of `metrics.jsonl`, and sample answers. */
export interface Measured {
  readonly metrics: Readonly<Record<string, number>>;
  readonly samples: readonly ShownAnswer[];
}

/** Measures every so many steps, on the same items each time. */
export class Evaluations {
  readonly #options: EvaluationsOptions;
  readonly #regularizers: readonly Regularizer[];
  readonly #validation: readonly Datum[];
  readonly #samples: readonly Datum[];
  readonly #questions: EvaluationPlan;

  private constructor(options: EvaluationsOptions, regularizers: readonly Regularizer[]) {
    const { settings, plan, validation } = options;
    this.#options = options;
    this.#regularizers = regularizers;
    this.#validation = validation.slice(0, settings.items);
    this.#samples = (plan.baseSamples ?? []).slice(0, settings.items);
    // Sample answers alone: as many questions of each set as are shown.
    const few = <T>(questions: readonly T[]) => questions.slice(0, plan.completions);
    this.#questions = {
      ...plan,
      task: plan.task && few(plan.task),
      skills: new Map([...(plan.skills ?? [])].map(([name, questions]) => [name, few(questions)])),
      validation: null,
      baseSamples: [],
    };
  }

  /** Before the first step: a regularizer that cannot be measured on the validation data is told of, and left out. */
  static async of(options: EvaluationsOptions): Promise<Evaluations> {
    const { validation, regularizers, base, note } = options;
    const able: Regularizer[] = [];
    for (const regularizer of validation.length > 0 ? regularizers : []) {
      try {
        await measureLosses(withDistributions(base), [regularizer], validation.slice(0, 1), SINGLE_STEP);
        able.push(regularizer);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        note(`the regularizer ${regularizer.name} is not measured on the validation data: ${error.message}`);
      }
    }
    return new Evaluations(options, able);
  }

  isDue(step: number): boolean {
    const { every } = this.#options.settings;
    return every !== null && step % every === 0;
  }

  /** @param model as it is after `step`. @throws the signal's reason when it is aborted. */
  async measure(model: SamplingClient, step: number): Promise<Measured> {
    const { base, waiting, settings } = this.#options;
    const metrics: Record<string, number> = {};
    const what = `evaluating after step ${step}`;
    const current = withDistributions(model);
    if (this.#validation.length > 0) {
      const losses = [crossEntropyLoss(), ...this.#regularizers];
      const at = { number: step, full: false };
      const [task, ...others] = await measureLosses(current, losses, this.#validation, at, waiting(what));
      metrics.eval_loss = task!.value;
      for (const [i, { value }] of others.entries()) metrics[`eval_${this.#regularizers[i]!.name}`] = value;
    }
    if (this.#samples.length > 0) {
      const { drift } = await measureDrift(current, withDistributions(base), this.#samples, undefined, waiting(what));
      metrics.eval_drift = drift;
    }
    const { samples } =
      settings.completions > 0 ? await evaluate(model, base, this.#questions, waiting(what)) : { samples: [] };
    return { metrics, samples };
  }
}

function withDistributions(model: SamplingClient): Pick<VocabularyModel, "distributions"> {
  if (model.distributions) return { distributions: model.distributions.bind(model) };
  throw new UserError(
    "evaluate.every needs whole distributions, which this engine does not tell: use an embedded engine, or leave it out",
  );
}

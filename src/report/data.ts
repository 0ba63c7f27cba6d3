/** @file What a report shows. Plain data: shares from 0 to 1, losses and divergences in nats per token. */

/** Everything on the page. A section without data is left out. */
export interface ReportData {
  readonly title: string;
  /** When it was made, ISO 8601. */
  readonly created: string;
  /** What the numbers say, one sentence each. */
  readonly conclusion: readonly string[];
  /** What is needed to repeat the run: model, data, versions, seed, steps, learning rate, rank, alpha, seconds … */
  readonly facts: Readonly<Record<string, string | number>>;
  readonly scores?: Scores;
  /** What the numbers of every step are. */
  readonly columns: Readonly<Record<Column, MetricInfo>>;
  /** What is measured now and then, in the order of the page: only those that a run has are shown. */
  readonly evaluations?: Readonly<Record<string, MetricInfo>>;
  /** What regularizers measure, in the order of the page: only those that a run has are shown. */
  readonly measures: readonly Measure[];
  readonly runs: readonly RunData[];
  readonly samples: readonly Sample[];
}

/** The numbers that every step has. */
export type Column = "loss" | "cross_entropy" | "grad_norm" | "learning_rate" | "tokens_per_second";

/** What a metric is called, measured in, and means. */
export interface MetricInfo {
  readonly title: string;
  readonly unit: string;
  readonly formula?: string | undefined;
  readonly meaning: string;
}

/** What a kind of regularizer measures. */
export interface Measure extends MetricInfo {
  /** Its name in a step, there perhaps with that of a regularizer before it: `NAME/js_divergence`. */
  readonly metric: string;
  /** The metric that is the largest value of any position, if there is one. */
  readonly largest?: string | undefined;
}

/** What the base and each run can do. */
export interface Scores {
  /** The base's skills, in the order of the table's rows. */
  readonly skills: readonly string[];
  /** What the new task is called. */
  readonly task: string;
  /** The base first, then one column per run, named like the run. */
  readonly columns: readonly ScoreColumn[];
  /** Said under the table: how many items, on which text the drift was measured, and in which direction. */
  readonly notes: readonly string[];
}

export interface ScoreColumn {
  readonly name: string;
  /** One score for each of `Scores.skills`. */
  readonly skills: Readonly<Record<string, Score>>;
  readonly task: Score;
  /** Mean over the base's skills of strict accuracy relative to the base's; the base's own is 1. */
  readonly retention: number;
  /** Distance from the base in nats per token; null where it was not measured. */
  readonly drift: number | null;
}

/** Shares of right answers. */
export interface Score {
  /** The whole completion is the expected one. */
  readonly strict: number;
  /** The completion contains the expected answer; null where it was not measured. */
  readonly lenient: number | null;
}

export interface RunData {
  readonly name: string;
  /** What set it apart, e.g. `KL(reference‖model) · weight 0.1 · on completions`. */
  readonly description: string;
  readonly metrics: readonly StepData[];
  /** The resolved configuration as YAML. */
  readonly config: string;
}

/** One line of `metrics.jsonl`. */
export interface StepData {
  readonly step: number;
  readonly loss: number;
  readonly cross_entropy: number;
  readonly grad_norm: number;
  readonly learning_rate: number;
  readonly tokens_per_second: number;
  /** What regularizers measure: `kl_divergence` and `weight`, or with several `NAME/js_divergence`. */
  readonly [name: string]: number | null | undefined;
}

/** One prompt, and what each model made of it. */
export interface Sample {
  /** The skill or task that it tests. */
  readonly skill: string | null;
  readonly prompt: string;
  /** The right answer, if there is one. */
  readonly expected: string | null;
  /** By column: the base and the runs. */
  readonly completions: Readonly<Record<string, Completion>>;
}

export interface Completion {
  readonly text: string;
  /** By the strict measure; null where nothing was expected. */
  readonly right: boolean | null;
}

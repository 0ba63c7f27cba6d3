import type { MemberMeasured } from "../regularizer/compose.ts";

/** What a step measured, before its update. Losses and divergences in nats per token. */
export interface StepResult {
  /** Counted from 1. */
  readonly step: number;
  /** cross_entropy + Σ weight · regularizer. */
  readonly loss: number;
  readonly cross_entropy: number;
  /** Global L2 norm of the gradients of all trained matrices, before clipping; NaN where a server does not tell. */
  readonly grad_norm: number;
  readonly learning_rate: number;
  /** Tokens that the model read for this step, anchors included, by the step's duration. */
  readonly tokens_per_second: number;
  /** In a full report with regularizers on the batch: the L2 norm of the task's gradient with respect to all logits. */
  readonly task_logit_grad_norm?: number;
  /** What each regularizer measured and counted, by its name; penalties on the adapter's matrices too. */
  readonly regularizers: Readonly<Record<string, RegularizerResult>>;
}

/** What one regularizer measured in a step. */
export interface RegularizerResult extends MemberMeasured {
  /** Of a penalty on the adapter's matrices: the L2 norm of its gradient over all of them, unweighted. */
  readonly matrix_grad_norm?: number;
}

/** One line of `metrics.jsonl`: the numbers of a step under flat names. */
export interface StepMetrics {
  readonly step: number;
  readonly loss: number;
  readonly cross_entropy: number;
  /** Of the first regularizer that measures one. With several, each one's metrics also stand under `name/…`. */
  readonly kl_divergence?: number;
  readonly kl_max?: number;
  readonly kl_min?: number;
  readonly kl_median?: number;
  readonly kl_p95?: number;
  readonly kl_p99?: number;
  /** The weight of that regularizer in this step. */
  readonly weight?: number;
  readonly grad_norm: number;
  readonly learning_rate: number;
  readonly tokens_per_second: number;
  /** Cross-entropy on the validation data after the step, where it was measured. */
  readonly eval_loss?: number;
  /** KL(reference‖model) on samples of the base after the step, where it was measured. */
  readonly eval_drift?: number;
  readonly [name: string]: number | undefined;
}

const PLAIN = ["kl_divergence", "kl_max", "kl_min", "kl_median", "kl_p95", "kl_p99", "weight"] as const;

/** What a sum says of a member, beside the member's own metrics. */
const OF_MEMBER = ["value", "weight", "contribution", "logit_grad_norm", "task_cosine", "matrix_grad_norm"] as const;

/**
 * The numbers of a step under flat names. A regularizer's are `name/metric`; with a single one they lose the prefix, with
 * several the plain `kl_…` and `weight` are those of the first that measures a KL. A metric whose flat name is taken, such
 * as one called `weight` or `cross_entropy`, keeps (or doubles) its regularizer's name before it: `name/weight`. Names of
 * what only full reports measure are taken in all steps, so that a metric has one name throughout a run.
 */
export function stepMetrics({ regularizers, ...step }: StepResult): StepMetrics {
  const flat: Record<string, number | undefined> = { ...step };
  const all = Object.entries(regularizers);
  const prefix = (name: string) => (all.length === 1 ? "" : `${name}/`);
  const first = all.find(([, { metrics }]) => "kl_divergence" in metrics)?.[1];
  if (first && all.length > 1) {
    const known: Readonly<Record<string, number>> = { ...first.metrics, weight: first.weight };
    for (const name of PLAIN) if (known[name] !== undefined) flat[name] = known[name];
  }
  for (const [name, measured] of all) {
    for (const metric of OF_MEMBER) {
      if (measured[metric] !== undefined) flat[prefix(name) + metric] = measured[metric];
    }
  }
  const reserved = new Set([
    "task_logit_grad_norm",
    ...all.flatMap(([name]) => OF_MEMBER.map((of) => prefix(name) + of)),
  ]);
  for (const [name, { metrics }] of all) {
    for (const [metric, value] of Object.entries(metrics)) {
      let key = prefix(name) + metric;
      while (reserved.has(key) || Object.hasOwn(flat, key)) key = `${name}/${key}`;
      flat[key] = value;
    }
  }
  return flat as StepMetrics;
}

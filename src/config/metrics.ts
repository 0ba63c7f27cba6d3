import type { MetricInfo } from "./kind.ts";
import { KINDS } from "./regularizers/index.ts";
import { NATS } from "./regularizers/metrics.ts";

/** @file Titles, units and meanings of the metrics of a run. */

/** Of each step, whatever its regularizers. */
export const STEP_METRICS = {
  loss: {
    title: "Loss",
    unit: NATS,
    formula: "cross-entropy + Σ weight · regularizer",
    meaning: "What training minimizes: cross-entropy plus each regularizer times its weight.",
  },
  cross_entropy: {
    title: "Cross-entropy",
    unit: NATS,
    formula: "−Σ w·log p / Σ w",
    meaning: "Mean surprise of the model at the right tokens. 0 means that it is certain of them.",
  },
  grad_norm: {
    title: "Gradient norm",
    unit: "before clipping",
    meaning: "L2 norm of the gradient over all trained matrices, before clipping.",
  },
  learning_rate: { title: "Learning rate", unit: "", meaning: "AdamW's learning rate in the step." },
  tokens_per_second: {
    title: "Speed",
    unit: "tokens per second",
    meaning: "Tokens that the model read for the step, anchors included, by the duration of the step.",
  },
} as const satisfies Readonly<Record<string, MetricInfo>>;

/** Of what `evaluate.every` measures, after the step. */
export const EVALUATION_METRICS = {
  eval_loss: {
    title: "Validation loss",
    unit: NATS,
    formula: "−Σ w·log p / Σ w",
    meaning:
      "Cross-entropy on data.validation, which is not trained on; eval_NAME is the value of a regularizer there.",
  },
  eval_drift: {
    title: "Drift",
    unit: NATS,
    formula: "KL(reference‖model)",
    meaning: "How far the model has moved from its base on text that the base writes.",
  },
} as const satisfies Readonly<Record<string, MetricInfo>>;

/** Of each regularizer, whatever its kind. */
export const REGULARIZER_METRICS = {
  value: { title: "Value", unit: "", meaning: "The regularizer's loss, before its weight." },
  weight: { title: "Weight", unit: "", meaning: "The weight of the regularizer in the step." },
  contribution: {
    title: "Contribution",
    unit: NATS,
    formula: "weight · value",
    meaning: "What the regularizer adds to the loss.",
  },
  logit_grad_norm: {
    title: "Logit gradient norm",
    unit: "",
    meaning: "L2 norm of the gradient of the value with respect to all logits of the batch, before the weight.",
  },
  task_logit_grad_norm: {
    title: "Logit gradient norm of the task",
    unit: "",
    meaning: "The same of the cross-entropy.",
  },
  matrix_grad_norm: {
    title: "Matrix gradient norm",
    unit: "",
    meaning: "L2 norm of the gradient of a penalty on the adapter with respect to its matrices, before the weight.",
  },
  task_cosine: {
    title: "Cosine with the task",
    unit: "",
    meaning: "The cosine between both gradients: 1 pulls the same way, −1 the opposite way.",
  },
} as const satisfies Readonly<Record<string, MetricInfo>>;

/** The metric that represents a kind of regularizer in charts and progress lines. */
export interface Headline extends MetricInfo {
  readonly metric: string;
  readonly short: string;
  /** The metric that is the largest value of any position, where there are positions. */
  readonly largest?: string | undefined;
}

/** One for each kind, in the order in which charts and progress show them. */
export const HEADLINES: readonly Headline[] = KINDS.map(({ headline, metrics }) => {
  const info = metrics[headline.metric];
  if (!info) throw new TypeError(`nothing is known of the metric ${headline.metric}`);
  const largest = `${headline.short}_max`;
  return { ...headline, ...info, largest: largest in metrics ? largest : undefined };
});

const KNOWN: Readonly<Record<string, MetricInfo>> = Object.assign(
  {},
  STEP_METRICS,
  EVALUATION_METRICS,
  REGULARIZER_METRICS,
  ...KINDS.map(({ metrics }) => metrics),
);

/** What is known of a metric; `name` may begin with that of its regularizer: `anchor/kl_divergence`. */
export function metricInfo(name: string): MetricInfo | undefined {
  const metric = name.slice(name.lastIndexOf("/") + 1);
  return Object.hasOwn(KNOWN, metric) ? KNOWN[metric] : undefined;
}

/** One line of `metrics.jsonl`: what a step measured, before its update. Losses and divergences in nats per token. */
export interface StepMetrics {
  /** Counted from 1. */
  readonly step: number;
  /** cross_entropy + Σ weight · regularizer. */
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
  /** Global L2 norm of the gradients of all trained matrices, before clipping; NaN where a server does not tell. */
  readonly grad_norm: number;
  readonly learning_rate: number;
  /** Tokens that the model read for this step, anchors included, by the step's duration. */
  readonly tokens_per_second: number;
  readonly [name: string]: number | undefined;
}

const PLAIN = ["kl_divergence", "kl_max", "kl_min", "kl_median", "kl_p95", "kl_p99", "weight"] as const;

/**
 * The names of a step's metrics. Each regularizer's come as `name/metric`; a single one's lose the prefix, with several
 * the plain `kl_…` and `weight` are those of the first that measures a KL.
 */
export function nameMetrics(
  measured: Readonly<Record<string, number>>,
  names: readonly string[],
): Record<string, number> {
  const [only, ...others] = names;
  if (only === undefined) return { ...measured };
  if (others.length === 0) {
    const prefix = `${only}/`;
    return Object.fromEntries(
      Object.entries(measured).map(([name, value]) => [
        name.startsWith(prefix) ? name.slice(prefix.length) : name,
        value,
      ]),
    );
  }
  const first = names.find((name) => `${name}/kl_divergence` in measured);
  const plain = PLAIN.flatMap((metric) => {
    const value = measured[`${first}/${metric}`];
    return value === undefined ? [] : [[metric, value] as const];
  });
  return { ...Object.fromEntries(plain), ...measured };
}

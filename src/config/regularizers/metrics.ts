import type { MetricInfo } from "../kind.ts";

/** @file The metrics of whatever is measured per position: its mean, and what goes with it. */

export const NATS = "nats per token";
export const ADAPTER = "of the adapter";

/** Which of the additional metrics a kind has. */
interface Has {
  /** With `clip`, the capped share. */
  readonly clip?: boolean;
  /** With a reference that may know its top k tokens only. */
  readonly coverage?: boolean;
  /** What the model's most probable token is compared with. */
  readonly other?: string;
}

/**
 * The metrics of a mean over positions.
 *
 * @param metric the mean's own name, such as `kl_divergence`.
 * @param prefix what the others' names begin with, such as `kl`.
 */
export function positionMetrics(
  metric: string,
  prefix: string,
  mean: MetricInfo,
  { clip = false, coverage = false, other }: Has = {},
): Record<string, MetricInfo> {
  const { title, unit } = mean;
  const of = (what: string) => ({ title: `${title}, ${what}`, unit });
  return {
    [metric]: mean,
    [`${prefix}_max`]: { ...of("largest"), meaning: "The largest value of any position." },
    [`${prefix}_min`]: { ...of("smallest"), meaning: "The smallest value of any position." },
    [`${prefix}_median`]: { ...of("median"), meaning: "Half of the positions, by weight, have at most this value." },
    [`${prefix}_p95`]: { ...of("95 %"), meaning: "95 % of the positions, by weight, have at most this value." },
    [`${prefix}_p99`]: { ...of("99 %"), meaning: "99 % of the positions, by weight, have at most this value." },
    ...(clip && {
      [`${prefix}_clipped`]: {
        title: `${title}, clipped`,
        unit: "share",
        meaning: "The share of the weight whose value was capped by `clip`.",
      },
    }),
    ...(coverage && {
      [`${prefix}_coverage`]: {
        title: `${title}, coverage`,
        unit: "share",
        meaning: "The reference's probability of the k tokens that are known of it, which are compared one by one.",
      },
    }),
    ...(other !== undefined && {
      [`${prefix}_top1_agreement`]: {
        title: `${title}, top-1 agreement`,
        unit: "share",
        meaning: `The share of the weight where model and ${other} have the same most probable token.`,
      },
    }),
  };
}

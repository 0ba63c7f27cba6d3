import { UserError } from "../common/errors.ts";
import { rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { KLOptions } from "../divergence/kl-divergence.ts";
import {
  type GradientOptions,
  type Reduction,
  type RowOptions,
  settings,
  type WithGradient,
} from "../divergence/options.ts";
import type { TopKWithGradient } from "../divergence/supports/over-top-k.ts";
import { formatShape, type Tensor } from "../divergence/tensor.ts";
import type { Item, OpenLoss, Part, PositionValues, Span, Step } from "../loss/contract.ts";
import { namingDatum } from "../loss/datum-error.ts";
import { weightOf, weightsOf } from "../loss/items.ts";
import { quantiles, type WeightedValue } from "../loss/quantile.ts";
import { checkSupport } from "../loss/targets.ts";
import { checkShapes } from "../reference/check-shapes.ts";
import { isTopK, type OpenReference, type ReferenceRows } from "../reference/contract.ts";
import { explainNonFinite } from "./explain-non-finite.ts";
import { top1AgreementWeight } from "./top1-agreement.ts";

/** What is measured at each position, and what it is called. */
export interface Measure {
  /** In messages: `KL divergence`. */
  readonly what: string;
  /** Of one position, in messages: `KL(model‖reference)`. */
  readonly formula: string;
  /** The metric that is its mean, and the prefix of its other metrics: `kl_divergence`, and `kl` for `kl_max`. */
  readonly metric: string;
  readonly prefix: string;
  /** Which side must be possible where the other is, for messages; absent where that is no condition. */
  readonly direction?: KLOptions["direction"] | undefined;
  /** The loss is this times the mean. Default 1. */
  readonly sign?: 1 | -1;
  /** Prepares a part: looks at all of its rows, and says how each span is measured. */
  readonly prepare: (part: PreparedPart) => MeasureSpan | Promise<MeasureSpan>;
}

/** A part, and the reference's rows of its spans where there is a reference. */
export interface PreparedPart extends Part {
  readonly batch: readonly Item[];
  readonly rows: readonly ReferenceRows[] | undefined;
}

/** Values and gradient, with respect to the logits of p, of the positions of span `i` of a part. */
export type MeasureSpan = (
  p: Tensor,
  q: ReferenceRows | undefined,
  options: SpanOptions,
  i: number,
) => WithGradient<"mean"> | TopKWithGradient<"mean">;

/** How a span is measured: its weights, what the mean divides by, where the gradient is added. */
export type SpanOptions = RowOptions<"mean"> &
  Required<GradientOptions> & { readonly weights: Float32Array; readonly totalWeight: number } & PositionSettings;

/** Settings of what is measured at each position. */
export interface PositionSettings {
  readonly epsilon?: number;
  readonly clip?: number;
}

/** A reference that has been begun, and its name. */
export interface BegunReference {
  readonly open: OpenReference;
  readonly description: string;
}

/** Suffixes of the weighted quantiles of a batch's positions. */
const QUANTILES = { median: 0.5, p95: 0.95, p99: 0.99 } as const;

/**
 * Σ w·D / Σ w over the positions of a batch, of whatever D is measured at each. Metrics over the positions of weight > 0:
 * the mean (whatever the reduction), `…_max`, `…_min`, `…_median`, `…_p95` and `…_p99` (absent when no position counts),
 * with `clip` the capped share of the weight, `…_clipped`, with a top-k reference its mean `…_coverage`, and in a full
 * report the share of the weight where model and reference have the same most probable token, `…_top1_agreement`.
 *
 * @throws UserError that names the datum, for what the mathematics refuse or a value that is not finite.
 */
export function positionLoss(
  { what, formula, metric, prefix, direction, sign = 1, prepare }: Measure,
  { reduction, ...how }: PositionSettings & { readonly reduction: Reduction },
  batch: readonly Item[],
  reference: BegunReference | undefined,
  step: Step,
): OpenLoss {
  const total = weightOf(batch);
  const description = reference?.description ?? "none";
  // A position's share of the loss is weight / total, or with a sum its weight.
  const times = sign * (reduction === "sum" ? total : 1);
  const positions: PositionValues[] = [];
  const counted: WeightedValue[] = [];
  let [mean, clipped, covered, agreed, isSparse] = [0, 0, 0, 0, false];

  const addSpan = (
    span: Span,
    i: number,
    part: PreparedPart,
    into: { gradient: Tensor; scale: number },
    measure: MeasureSpan,
  ) => {
    const weights = weightsOf(batch, span);
    const [p, q] = [part.logprobs[i]!, part.rows?.[i]];
    const options = { ...how, weights, totalWeight: total, addTo: into };
    const found = namingDatum(batch, span, () => measure(p, q, options, i), description);
    mean += found.value;
    clipped += found.clippedShare;
    if (step.full && q) agreed += top1AgreementWeight(p, q, weights) / (total || 1);
    covered += "coverage" in found ? found.coverage : sum(weights) / (total || 1);
    isSparse ||= q !== undefined && isTopK(q);
    const values = found.perRow.data;
    for (const [row, weight] of weights.entries()) {
      if (weight === 0) continue;
      const value = values[row]!;
      if (!Number.isFinite(value)) {
        const { datum } = batch[span.index]!;
        throw new UserError(explainNonFinite({ datum, span, row, p, q, formula, direction, description }));
      }
      counted.push({ value, weight });
    }
    positions.push({ datum: batch[span.index]!.datum, from: span.from, values });
  };

  return {
    add: async (part, into) => {
      checkSupport(what, part);
      const rows = await reference?.open.rows(part.spans);
      if (rows) checkShapes(what, batch, part, rows, description);
      else checkModel(what, batch, part);
      const prepared = { ...part, batch, rows };
      const measure = await prepare(prepared);
      for (const [i, span] of part.spans.entries()) {
        addSpan(span, i, prepared, { gradient: into.gradient[i]!, scale: into.scale * times }, measure);
      }
    },
    end: () => {
      const found = quantiles(counted, [0, ...Object.values(QUANTILES), 1]);
      const [min, max] = [found.shift(), found.pop()];
      return {
        value: mean * times,
        metrics: {
          [metric]: mean,
          ...(max !== undefined && { [`${prefix}_max`]: max, [`${prefix}_min`]: min! }),
          ...((how.clip ?? Number.POSITIVE_INFINITY) < Number.POSITIVE_INFINITY && { [`${prefix}_clipped`]: clipped }),
          ...(isSparse && { [`${prefix}_coverage`]: covered }),
          ...(step.full && reference && max !== undefined && { [`${prefix}_top1_agreement`]: agreed }),
          ...Object.fromEntries(
            Object.keys(QUANTILES).flatMap((name, i) =>
              found[i] === undefined ? [] : [[`${prefix}_${name}`, found[i]!]],
            ),
          ),
        },
        positions,
      };
    },
  };
}

const sum = (weights: Float32Array) => weights.reduce((total, weight) => total + weight, 0);

/** @throws UserError unless there is a row for every position; with a reference, `checkShapes` says so. */
function checkModel(what: string, batch: readonly Item[], { spans, logprobs }: Part): void {
  for (const [i, { index, from, to }] of spans.entries()) {
    const shape = logprobs[i]?.shape ?? [];
    if (shape[0] === to - from && to <= rowCount(batch[index]!.datum)) continue;
    throw new UserError(
      `shape mismatch in ${what}, ${formatDatum(batch[index]!.datum, index)}: model log-probabilities ${formatShape(shape)}, expected [${to - from}, V], the whole vocabulary for each target token`,
    );
  }
}

/**
 * Refuses invalid settings at construction, not in the first step.
 *
 * @throws UserError
 */
export function checkSettings(what: string, given: Parameters<typeof settings>[0]): void {
  checked(what, () => settings(given));
}

/**
 * What `read` makes of settings.
 *
 * @throws UserError that says whose settings they are.
 */
export function checked<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new UserError(`${what}: ${(cause as Error).message}`, { cause });
  }
}

import { UserError } from "../common/errors.ts";
import { type Datum, everyToken, rowCount, totalWeight } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Direction } from "../divergence/kl-divergence.ts";
import type { GradientOptions, Reduction, RowOptions, WithGradient } from "../divergence/options.ts";
import type { TopKWithGradient } from "../divergence/supports/over-top-k.ts";
import { formatShape, type Tensor } from "../divergence/tensor.ts";
import { namingDatum } from "../loss/datum-error.ts";
import { gradientSum } from "../loss/gradient-sum.ts";
import type { ComputeOptions, Penalty } from "../loss/legacy.ts";
import { isTopK, type ReferenceRows } from "../reference/legacy.ts";
import { whyNotFinite } from "./explain-non-finite.ts";
import { sameTopWeight } from "./top1-agreement.ts";

/** A penalty that also tells what each row contributed. */
export interface RowsPenalty extends Penalty {
  /** Each row's own value, in nats unless it is a custom one, [M] per datum; 0 for rows of weight 0. */
  readonly perRow: readonly Tensor[];
}

/** What is measured of each row, and what it is called. */
export interface Measure {
  /** In messages: `KL divergence`. */
  readonly what: string;
  /** Of one row, in messages: `KL(model‖reference)`. */
  readonly formula: string;
  /** The metric that is its mean, and what its other metrics begin with: `kl_divergence`, and `kl` for `kl_max`. */
  readonly metric: string;
  readonly prefix: string;
  /** Which way it looks, if an outcome can be impossible on the other side. */
  readonly direction?: Direction;
  /** What the loss is of the mean. Default 1. */
  readonly sign?: 1 | -1;
  /**
   * Values and gradient with respect to the logits of p, of the rows of one datum; q is undefined where there is no
   * reference. `of` says which datum of the data it is.
   */
  readonly withGradient: (
    p: Tensor,
    q: ReferenceRows | undefined,
    options: MeasureOptions,
    of: { readonly datum: Datum; readonly index: number },
  ) => Measured;
}

export type MeasureOptions = RowOptions<"mean"> &
  GradientOptions & { readonly epsilon?: number; readonly clip?: number };
export type Measured = WithGradient<"mean"> | TopKWithGradient<"mean">;

/** The reference of each datum, and what it calls itself. */
export interface ResolvedReference {
  readonly rows: readonly ReferenceRows[];
  readonly description: string;
}

export interface RowSettings {
  readonly reduction: Reduction;
  readonly epsilon?: number;
  readonly clip?: number;
}

/**
 * Σ w·D / Σ w over the rows of a batch, of whatever is measured per row. Metrics over the rows of weight above 0: the mean
 * (whatever the reduction), `…_max` and `…_min` (absent when no row counts), with `clip` the capped share of the weight,
 * `…_clipped`, with a top-k reference its mean `…_coverage`, and in a full report the share of the weight where model and
 * reference have the same most probable token, `…_same_top`.
 *
 * @throws UserError that names the datum, for what the mathematics refuse or a value that is not finite.
 */
export function rowPenalty(
  { what, formula, metric, prefix, direction, sign = 1, withGradient }: Measure,
  { reduction, ...how }: RowSettings,
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  reference: ResolvedReference | undefined,
  options: ComputeOptions,
): RowsPenalty {
  if (!reference) checkModel(what, data, logprobs);
  const total = options.totalWeight ?? totalWeight(data);
  const sum = gradientSum(options.addTo, logprobs);
  const description = reference?.description ?? "none";
  // A row's share of the loss is weight / total, or with a sum its weight.
  const times = sign * (reduction === "sum" ? total : 1);
  const scale = sum.scale * times;
  let [mean, clipped, covered, same, max, min] = [0, 0, 0, 0, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const perRow = data.map((datum, i) => {
    const { weights } = datum.lossInputs;
    const addTo = { gradient: sum.gradient[i]!, scale };
    const [p, q] = [logprobs[i]!, reference?.rows[i]];
    const part = namingDatum(
      datum,
      i,
      () => withGradient(p, q, { ...how, weights, totalWeight: total, addTo }, { datum, index: i }),
      description,
    );
    mean += part.value;
    clipped += part.clippedShare;
    if (options.report && q) same += sameTopWeight(p, q, weights) / (total || 1);
    covered += "coverage" in part ? part.coverage : totalWeight([datum]) / (total || 1);
    part.perRow.data.forEach((value, row) => {
      if (weights.data[row] === 0) return;
      if (!Number.isFinite(value))
        throw new UserError(whyNotFinite({ datum, index: i, row, p, q, formula, direction, description }));
      max = Math.max(max, value);
      min = Math.min(min, value);
    });
    return part.perRow;
  });
  return {
    loss: mean * times,
    gradient: sum.gradient,
    metrics: {
      [metric]: mean,
      ...(max >= min && { [`${prefix}_max`]: max, [`${prefix}_min`]: min }),
      ...((how.clip ?? Number.POSITIVE_INFINITY) < Number.POSITIVE_INFINITY && { [`${prefix}_clipped`]: clipped }),
      ...(reference?.rows.some(isTopK) && { [`${prefix}_coverage`]: covered }),
      ...(options.report && reference && max >= min && { [`${prefix}_same_top`]: same }),
    },
    perRow,
    rows: { [prefix]: { values: perRow, weights: data.map(({ lossInputs }) => lossInputs.weights) } },
  };
}

/** @throws UserError unless there is a whole distribution for every row; with a reference, `checkShapes` says so. */
function checkModel(what: string, data: readonly Datum[], logprobs: readonly Tensor[]): void {
  for (const [i, datum] of data.entries()) {
    const shape = logprobs[i]?.shape ?? [];
    if (shape.length === 2 && shape[0] === rowCount(datum)) continue;
    throw new UserError(
      `shape mismatch in ${what}, ${formatDatum(datum, i)}: model log-probabilities ${formatShape(shape)}, expected [${rowCount(datum)}, V], the whole vocabulary for each target token`,
    );
  }
}

/**
 * Bad settings fail here, at construction, rather than in the first step.
 *
 * @throws UserError
 */
export function checkSettings({ what, withGradient }: Measure, settings: RowSettings): void {
  const nothing: Tensor = { data: new Float32Array(0), shape: [0, 1] };
  try {
    // A regularizer reduces by itself, but the divergence knows which reductions there are.
    withGradient(nothing, nothing, settings as MeasureOptions, { datum: everyToken([0]), index: 0 });
  } catch (cause) {
    throw new UserError(`${what}: ${(cause as Error).message}`, { cause });
  }
}

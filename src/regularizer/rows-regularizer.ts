import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Reduction } from "../divergence/options.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Regularizer } from "../loss/legacy.ts";
import { checkShapes } from "../reference/check-shapes.ts";
import { isTopK, type ReferenceRows } from "../reference/legacy.ts";
import { type ReferenceOptions, resolveReference } from "../reference/resolve.ts";
import { type Measure, type ResolvedReference, rowPenalty } from "./row-penalty.ts";

/** What regularizers of one's own have in common: a name, perhaps a reference, and a value for each row. */
export interface RowsRegularizerOptions extends ReferenceOptions {
  /** Unique in a composition; also the name of its metric. */
  readonly name: string;
  /** Over the rows of a batch: their weighted `"mean"` or `"sum"`. Default `"mean"`. */
  readonly reduction?: Exclude<Reduction, "none"> | undefined;
}

/** Looks at all the data of a call, and says how to measure each datum of it. */
export type Prepare = (
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  reference: ResolvedReference | undefined,
) => Measure["withGradient"] | Promise<Measure["withGradient"]>;

/**
 * A regularizer that measures rows in a way of its own. Metrics: `name`, the mean, `name_max`, `name_min`.
 *
 * @throws UserError for more than one reference, or a reduction that is none.
 */
export function rowsRegularizer(
  { name, reduction = "mean", ...references }: RowsRegularizerOptions,
  prepare: Prepare,
): Regularizer {
  if (reduction !== "mean" && reduction !== "sum") {
    throw new UserError(
      `the reduction of the regularizer "${name}" is ${JSON.stringify(reduction)}, expected mean or sum`,
    );
  }
  const compares = Object.values(references).some((reference) => reference != null);
  const reference = compares ? resolveReference(references) : undefined;
  return {
    name,
    compute: async (data, logprobs, options = {}) => {
      let resolved: ResolvedReference | undefined;
      if (reference) {
        resolved = { rows: await reference.resolve(data, options), description: reference.description };
        checkShapes(name, data, logprobs, resolved.rows, resolved.description);
      }
      const withGradient = await prepare(data, logprobs, resolved);
      const measure: Measure = { what: name, formula: name, metric: name, prefix: name, withGradient };
      return rowPenalty(measure, { reduction }, data, logprobs, resolved, options);
    },
  };
}

/** @throws UserError for a reference that knows its top k tokens only. */
export function wholeVocabulary(rows: ReferenceRows, datum: Datum, index: number): Tensor {
  if (!isTopK(rows)) return rows;
  throw new UserError(
    `the reference of ${formatDatum(datum, index)} knows its most probable tokens only, expected the whole vocabulary: give one that does, such as the base`,
  );
}

import { UserError } from "../common/errors.ts";
import { rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { formatShape, sameShape } from "../divergence/tensor.ts";
import type { Item, Part } from "../loss/contract.ts";
import { isTopK, type ReferenceRows } from "./contract.ts";

/**
 * Checks the rows of a reference against the shapes of the model's log-probabilities, [n, V] for each span: exactly, or of a
 * top-k its positions.
 *
 * @param what the regularizer, for messages: `KL divergence`.
 * @throws UserError that names the datum and shows both shapes, those of the whole datum also where the engine cuts it.
 */
export function checkShapes(
  what: string,
  batch: readonly Item[],
  { spans, logprobs }: Part,
  reference: readonly ReferenceRows[],
  description: string,
): void {
  if (logprobs.length !== spans.length) {
    throw new UserError(
      `${what} was given log-probabilities of ${logprobs.length} datums for ${spans.length}: give one tensor [M, V] per datum`,
    );
  }
  if (reference.length !== spans.length) {
    throw new UserError(
      `the reference (${description}) returned ${reference.length} tensors for ${spans.length} datums: return one [M, V] per datum, in their order`,
    );
  }
  for (const [i, { index, from, to }] of spans.entries()) {
    const { datum, weights } = batch[index]!;
    const model = logprobs[i]!;
    const found = reference[i]!;
    const sparse = isTopK(found);
    const given = sparse ? found.logprobs : found;
    const [positions, count] = [rowCount(datum), to - from];
    const whole = (shape: readonly number[]) =>
      formatShape(shape[0] === count ? [positions, ...shape.slice(1)] : shape);
    const mismatch = (advice: string) =>
      new UserError(
        `shape mismatch in ${what}, ${formatDatum(datum, index)}: model log-probabilities ${whole(model.shape)}, ` +
          `reference (${description}) ${whole(given.shape)}${sparse ? " of the top-k" : ""}; ${advice}`,
      );
    const single = !sparse && model.shape.length === 2 && given.data.length === count && model.shape[1] !== 1;
    if (model.shape.length !== 2 || given.shape.length !== 2 || single) {
      throw mismatch(
        "each must be [M, V], the whole vocabulary at every position: log-probabilities of the target tokens alone are not a distribution" +
          (single ? "; if there are no others, set format: { targets: true }" : ""),
      );
    }
    for (const [name, { data, shape }] of [
      ["model log-probabilities", model],
      ["reference", given],
    ] as const) {
      const size = shape[0]! * shape[1]!;
      if (data.length !== size) throw mismatch(`the ${name} hold ${data.length} numbers, expected ${size}`);
    }
    if (model.shape[0] !== given.shape[0]) {
      throw mismatch("the reference needs one row per target token of the datum");
    }
    // Which tokens a top-k knows is checked where they are used.
    if (!sparse && !sameShape(model.shape, given.shape)) throw mismatch("both must be over the same vocabulary");
    if (model.shape[0] !== count) throw mismatch(`the datum has ${positions} target tokens, one row for each`);
    if (weights.length !== positions) {
      throw new UserError(
        `${formatDatum(datum, index)} has ${weights.length} weights for ${positions} target tokens: give one per token`,
      );
    }
  }
}

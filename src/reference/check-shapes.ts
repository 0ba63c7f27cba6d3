import { UserError } from "../common/errors.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { formatShape, sameShape, type Tensor } from "../divergence/tensor.ts";
import { isTopK, type ReferenceRows } from "./legacy.ts";

/**
 * Holds a reference to the shapes of the model's log-probabilities, [M, V] for each datum: exactly, or of a top-k its rows.
 *
 * @param what the regularizer, for messages: `KL divergence`.
 * @throws UserError that names the datum and shows both shapes.
 */
export function checkShapes(
  what: string,
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  reference: readonly ReferenceRows[],
  description: string,
): void {
  if (logprobs.length !== data.length) {
    throw new UserError(
      `${what} was given log-probabilities of ${logprobs.length} datums for ${data.length}: give one tensor [M, V] per datum`,
    );
  }
  if (reference.length !== data.length) {
    throw new UserError(
      `the reference (${description}) returned ${reference.length} tensors for ${data.length} datums: return one [M, V] per datum, in their order`,
    );
  }
  data.forEach((datum, i) => {
    const model = logprobs[i]!;
    const found = reference[i]!;
    const sparse = isTopK(found);
    const given = sparse ? found.logprobs : found;
    const rows = rowCount(datum);
    const mismatch = (advice: string) =>
      new UserError(
        `shape mismatch in ${what}, ${formatDatum(datum, i)}: model log-probabilities ${formatShape(model.shape)}, ` +
          `reference (${description}) ${formatShape(given.shape)}${sparse ? " of the top-k" : ""}; ${advice}`,
      );
    const single = !sparse && model.shape.length === 2 && given.data.length === rows && model.shape[1] !== 1;
    if (model.shape.length !== 2 || given.shape.length !== 2 || single) {
      throw mismatch(
        "each must be [M, V], the whole vocabulary in every row: log-probabilities of the target tokens alone are not a distribution" +
          (single ? "; if there are no others, declare them with { sampled: true }" : ""),
      );
    }
    if (model.shape[0] !== given.shape[0]) {
      throw mismatch("the reference needs one row per predicted token of the datum");
    }
    // Which tokens a top-k knows is checked where they are used.
    if (!sparse && !sameShape(model.shape, given.shape)) throw mismatch("both must be over the same vocabulary");
    if (model.shape[0] !== rows) throw mismatch(`the datum has ${rows} target tokens, one row for each`);
    const weights = datum.lossInputs.weights.data.length;
    if (weights !== rows)
      throw new UserError(
        `${formatDatum(datum, i)} has ${weights} weights for ${rows} target tokens: give one per token`,
      );
    for (const [name, { data: numbers, shape }] of [
      ["model log-probabilities", model],
      ["reference", given],
    ] as const) {
      const size = shape[0]! * shape[1]!;
      if (numbers.length !== size) throw mismatch(`the ${name} hold ${numbers.length} numbers, expected ${size}`);
    }
  });
}

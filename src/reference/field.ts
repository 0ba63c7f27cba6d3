import { UserError } from "../common/errors.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { type Declared, intake } from "./intake.ts";
import type { Reference } from "./legacy.ts";

/** What the field holds. */
export interface FieldOptions extends Declared {
  /** For messages. Default `field "NAME"`. */
  readonly description?: string | undefined;
}

/**
 * A reference that every datum carries itself, as the loss input `name`: log-probabilities [M, V].
 *
 * @throws UserError from `resolve`, naming the datum, where the field is missing or holds no log-probabilities.
 * @example new KLDivergence({ reference: fieldReference("teacher_logprobs", { temperature: 2 }) })
 */
export function fieldReference(
  name: string,
  { description = `field "${name}"`, ...declared }: FieldOptions = {},
): Reference {
  const takeIn = intake(description, declared);
  return {
    description,
    resolve: async (data) =>
      data.map((datum, i) => {
        const value = datum.lossInputs[name];
        if (!value) {
          const fields = Object.keys(datum.lossInputs).join(", ");
          throw new UserError(
            `${formatDatum(datum, i)} has no field "${name}" for the reference; it has ${fields}: store the reference's log-probabilities [M, V] there`,
          );
        }
        if (value.data instanceof Int32Array) {
          throw new UserError(
            `the field "${name}" of ${formatDatum(datum, i)} holds token ids, expected the reference's log-probabilities [M, V]`,
          );
        }
        return takeIn(datum, i, value as Tensor);
      }),
  };
}

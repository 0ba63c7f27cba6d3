import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Reference } from "./contract.ts";
import { givenRowsOpener } from "./given.ts";
import type { InputFormat } from "./normalize-rows.ts";

/** What format the field comes in. */
export interface FieldOptions extends InputFormat {
  /** For messages. Default `field "NAME"`. */
  readonly description?: string | undefined;
}

/**
 * A reference that every datum carries itself, as the loss input `name`: log-probabilities [M, V].
 *
 * @throws UserError from `begin`, naming the datum, where the field is missing or holds no log-probabilities.
 * @example new KLDivergence({ reference: fieldReference("teacher_logprobs", { temperature: 2 }) })
 */
export function fieldReference(
  name: string,
  { description = `field "${name}"`, ...format }: FieldOptions = {},
): Reference {
  const open = givenRowsOpener(description, format);
  return {
    description,
    begin: async (data) =>
      open(
        data,
        data.map((datum, i) => fieldOf(datum, i, name)),
      ),
  };
}

function fieldOf(datum: Datum, index: number, name: string): Tensor {
  const value = datum.lossInputs[name];
  if (!value) {
    const fields = Object.keys(datum.lossInputs).join(", ");
    throw new UserError(
      `${formatDatum(datum, index)} has no field "${name}" for the reference; it has ${fields}: store the reference's log-probabilities [M, V] there`,
    );
  }
  if (value.data instanceof Int32Array) {
    throw new UserError(
      `the field "${name}" of ${formatDatum(datum, index)} holds token ids, expected the reference's log-probabilities [M, V]`,
    );
  }
  return value as Tensor;
}

import { UserError } from "../common/errors.ts";
import { type ComputeReference, computedReference } from "./computed.ts";
import type { Reference } from "./contract.ts";
import { fieldReference } from "./field.ts";
import { type GivenLogprobs, givenReference } from "./given.ts";
import type { InputFormat } from "./normalize-rows.ts";

/** Where the reference comes from: exactly one of these. */
export interface ReferenceOptions {
  /** Log-probabilities computed before. */
  readonly referenceLogprobs?: GivenLogprobs | undefined;
  /** The name of the loss input in which every datum carries its own. */
  readonly referenceField?: string | undefined;
  /** A function that computes them for a batch, called once per step. For another time limit than the default: `computedReference`. */
  readonly computeReference?: ComputeReference | undefined;
  /** Any other, such as `baseReference(…)`; shared by several regularizers it is computed once for all. */
  readonly reference?: Reference | undefined;
  /** The format of the log-probabilities, where it is not the whole vocabulary at temperature 1. Not with `reference`. */
  readonly format?: InputFormat | undefined;
}

/**
 * The one reference that the options name.
 *
 * @throws UserError when there is none, or more than one.
 */
export function resolveReference({
  referenceLogprobs,
  referenceField,
  computeReference,
  reference,
  format,
}: ReferenceOptions): Reference {
  const given = Object.entries({ referenceLogprobs, referenceField, computeReference, reference }).filter(
    ([, value]) => value != null,
  );
  if (given.length === 0) {
    throw new UserError(
      "no reference distribution is given: set one of referenceLogprobs (computed before), referenceField (a loss input of each datum), " +
        "computeReference (a function), or reference (such as the base)",
    );
  }
  if (given.length > 1) {
    throw new UserError(
      `${given.map(([name]) => name).join(" and ")} are set, expected one reference: remove the others`,
    );
  }
  if (referenceLogprobs) return givenReference(referenceLogprobs, format);
  if (referenceField != null) return fieldReference(referenceField, format);
  if (computeReference) return computedReference(computeReference, format);
  if (format) {
    throw new UserError(
      "`format` is set beside `reference`, which has a format of its own: set it where the reference is made, as in fieldReference(name, format)",
    );
  }
  return reference!;
}

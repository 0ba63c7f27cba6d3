import { UserError } from "../common/errors.ts";
import { type ComputeReference, computedReference } from "./computed.ts";
import { fieldReference } from "./field.ts";
import { type GivenLogprobs, givenReference } from "./given.ts";
import type { Declared } from "./intake.ts";
import type { Reference } from "./legacy.ts";

/** Where the reference comes from: exactly one of these. */
export interface ReferenceOptions {
  /** Log-probabilities computed before. */
  readonly referenceLogprobs?: GivenLogprobs | undefined;
  /** The name of the loss input in which every datum carries its own. */
  readonly referenceField?: string | undefined;
  /** A function that computes them for a batch, called once per batch; with other than the default time limit: `computedReference`. */
  readonly computeReference?: ComputeReference | undefined;
  /** Any other, such as `baseReference(…)`; shared by several regularizers it is computed once for all. */
  readonly reference?: Reference | undefined;
  /** What the log-probabilities are, where they are not the whole vocabulary's at temperature 1. Not with `reference`. */
  readonly declared?: Declared | undefined;
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
  declared,
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
      `${given.map(([name]) => name).join(" and ")} are given, and only one can be the reference: take the others out`,
    );
  }
  if (referenceLogprobs) return givenReference(referenceLogprobs, declared);
  if (referenceField != null) return fieldReference(referenceField, declared);
  if (computeReference) return computedReference(computeReference, declared);
  if (declared) {
    throw new UserError(
      "`declared` says what log-probabilities from outside are, and `reference` knows that itself: give it to where the reference is made, as in fieldReference(name, declared)",
    );
  }
  return reference!;
}

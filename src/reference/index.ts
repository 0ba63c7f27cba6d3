/** @file Where the reference distribution q comes from. */
export { baseReference } from "./base.ts";
export { type ComputedOptions, type ComputeReference, computedReference } from "./computed.ts";
export { isTopK, type Reference, type ReferenceRows, type ResolveOptions } from "./contract.ts";
export { fieldReference } from "./field.ts";
export { type GivenLogprobs, givenReference } from "./given.ts";
export { type ReferenceOptions, resolveReference } from "./resolve.ts";

/** @file Where the reference distribution q comes from. */

export type { RetryOptions } from "../common/retry.ts";
export { baseReference } from "./base.ts";
export { refuseTempered } from "./check-temperature.ts";
export { type ComputedOptions, type ComputeReference, computedReference } from "./computed.ts";
export { type FieldOptions, fieldReference } from "./field.ts";
export { type GivenLogprobs, type GivenOptions, givenReference } from "./given.ts";
export type { Head } from "./hidden-states.ts";
export type { Declared } from "./intake.ts";
export { isTopK, type Reference, type ReferenceRows, type ResolveOptions } from "./legacy.ts";
export {
  type PromptReferenceOptions,
  type PromptScorer,
  type PromptTopK,
  promptReference,
} from "./prompt-reference.ts";
export { type ReferenceOptions, resolveReference } from "./resolve.ts";
export { sampledReference } from "./sampled-reference.ts";
export { type CompletionsServerOptions, completionsServer } from "./server/completions-server.ts";
export * from "./store/index.ts";
export { movingReference } from "./synced.ts";

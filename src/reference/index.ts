/** @file `klamp/reference`: where the reference distribution q comes from. Stores, which need the file system, are in `store/`. */

export { RETRY_DEFAULTS, type RetryOptions } from "../common/retry.ts";
export { baseReference, liveReference, type ReferenceModel } from "./base.ts";
export { checkTemperature } from "./check-temperature.ts";
export { type ComputedOptions, type ComputeReference, computedReference } from "./computed.ts";
export { isTopK, type OpenReference, type Reference, type ReferenceRows } from "./contract.ts";
export { type FieldOptions, fieldReference } from "./field.ts";
export { type GivenLogprobs, type GivenOptions, givenReference } from "./given.ts";
export { FIELD_DEFAULTS, type InputFormat } from "./normalize-rows.ts";
export { type PromptReferenceOptions, type PromptScorer, promptReference } from "./prompt-reference.ts";
export { type ReferenceOptions, resolveReference } from "./resolve.ts";
export {
  type CompletionsServer,
  type CompletionsServerOptions,
  completionsServer,
} from "./server/completions-server.ts";
export { SERVER_DEFAULTS } from "./server/defaults.ts";
export { syncedReference } from "./synced.ts";
export { targetsReference } from "./targets-reference.ts";

/** @file `klamp/reference/store`: distributions that were computed before: `buildStore` writes them, `openStoredReference` is the reference. */
export { type BuildOptions, type BuildProgress, type BuildResult, buildStore, type StoreSource } from "./build.ts";
export { STORE_DEFAULTS } from "./defaults.ts";
export type { StoreIdentity, StoreKind } from "./identity.ts";
export { type Inspection, inspectStore } from "./inspect.ts";
export { StoreReader } from "./reader.ts";
export type { StoredRows } from "./record.ts";
export { openStoredReference, refuseMissing, type StoredReference } from "./store-reference.ts";

import {
  type BuiltReference,
  makeReference,
  type ReferenceConfig,
  type ReferenceMaterial,
} from "../config/references/index.ts";

export type { ReferenceMaterial } from "../config/references/index.ts";

/** Builds references from their settings; regularizers with the same settings share one, and so its answers. */
export function referenceBuilder(material: ReferenceMaterial): (settings: ReferenceConfig) => BuiltReference {
  const built = new Map<string, BuiltReference>();
  return (settings) => {
    const key = JSON.stringify(settings);
    const one = built.get(key) ?? makeReference(settings, material);
    built.set(key, one);
    return one;
  };
}

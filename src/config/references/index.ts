import { z } from "zod";
import { defaultSamples, sourcesOf, type Text } from "../text.ts";
import { either, refuse } from "../values.ts";
import { base } from "./base.ts";
import { field } from "./field.ts";
import { file } from "./file.ts";
import type { BuiltReference, Provider, ReferenceMaterial } from "./provider.ts";
import { serverProvider } from "./server.ts";
import { start } from "./start.ts";
import { storeProvider } from "./store.ts";
import { synced } from "./synced.ts";

export type { BuiltReference, ReferenceMaterial, StoreConfig } from "./provider.ts";

/** @file What a regularizer holds the model to. */

/** All providers, in the order of help. */
const PROVIDERS = [base, start, field, file, storeProvider, serverProvider, synced] as const;

export type ReferenceConfig = z.output<(typeof PROVIDERS)[number]["schema"]>;

const every: readonly Provider<ReferenceConfig>[] = PROVIDERS;

export const reference = z
  .union(
    PROVIDERS.map(({ schema }) => schema),
    { error: either(every.map(({ usage }) => usage)) },
  )
  .default("base")
  .describe("what the model is held to:")
  .meta({ variants: every.map(({ usage, help }) => [usage, help]) });

function providerOf(settings: ReferenceConfig): Provider<ReferenceConfig> {
  const type = typeof settings === "string" ? settings : Object.keys(settings)[0];
  const found = every.find((each) => (typeof settings === "string" ? each.type === type : each.type in settings));
  if (!found) throw new TypeError(`no provider of the reference ${JSON.stringify(settings)}`);
  return found;
}

/** The reference that settings describe. */
export function makeReference(settings: ReferenceConfig, material: ReferenceMaterial): BuiltReference {
  return providerOf(settings).make(settings, material);
}

/** In a word or two: `base`, `field base_logprobs`. */
export function describeReference(settings: ReferenceConfig): string {
  return providerOf(settings).describe(settings);
}

/** Whether this is the adapter that training starts from. */
export function isStart(settings: ReferenceConfig): boolean {
  return providerOf(settings).isStart?.(settings) ?? false;
}

/** Names of loss inputs that lines of the data must carry. */
export function fieldsOf(settings: ReferenceConfig): readonly string[] {
  return providerOf(settings).fields?.(settings) ?? [];
}

/** The default text: samples of the base, or the completions where the reference covers lines of a data file only. */
export function defaultText(settings: ReferenceConfig): Text {
  return providerOf(settings).coversLinesOnly ? "completions" : defaultSamples();
}

/** Refuses texts that the reference cannot be asked about. */
export function checkText(
  { text, reference }: { readonly text: Text | null; readonly reference: ReferenceConfig },
  context: z.RefinementCtx,
): void {
  const why = text === null ? undefined : providerOf(reference).refuses?.(reference, sourcesOf(text));
  if (why !== undefined) refuse(context, ["reference"], why);
}

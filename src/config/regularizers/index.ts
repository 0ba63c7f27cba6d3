import { z } from "zod";
import type { AdapterPenalty } from "../../regularizer/adapter/contract.ts";
import type { Regularizer } from "../../regularizer/contract.ts";
import type { Kind } from "../kind.ts";
import { consistency } from "./consistency.ts";
import { elasticNet } from "./elastic-net.ts";
import { entropy } from "./entropy.ts";
import { jensenShannon } from "./jensen-shannon.ts";
import { klDivergence } from "./kl-divergence.ts";
import { l1 } from "./l1.ts";
import { l2 } from "./l2.ts";
import { orthogonality } from "./orthogonality.ts";
import type { AdapterMaterial, TextMaterial } from "./shared.ts";

/** @file The regularizers of a configuration. */

/** Those that work on text, in the order of help; the first is the default type. */
const ON_TEXT = [klDivergence, jensenShannon, entropy, consistency] as const;
/** Penalties on the adapter's matrices. */
const ON_ADAPTER = [orthogonality, l1, l2, elasticNet] as const;

export type TextRegularizerConfig = z.output<(typeof ON_TEXT)[number]["schema"]>;
export type AdapterRegularizerConfig = z.output<(typeof ON_ADAPTER)[number]["schema"]>;
export type RegularizerConfig = TextRegularizerConfig | AdapterRegularizerConfig;

const onText: readonly Kind<TextRegularizerConfig, Regularizer, TextMaterial>[] = ON_TEXT;
const onAdapter: readonly Kind<AdapterRegularizerConfig, AdapterPenalty, AdapterMaterial>[] = ON_ADAPTER;

/** All kinds, in the order of help. */
export const KINDS: readonly Kind<RegularizerConfig, Regularizer | AdapterPenalty, never>[] = [...onText, ...onAdapter];

const [first, ...more] = ON_TEXT;

/** One entry of `regularizers`. */
export const regularizer = z.discriminatedUnion(
  "type",
  [first.schema, ...more.map(({ schema }) => schema), ...ON_ADAPTER.map(({ schema }) => schema)],
  {
    error: ({ code }) =>
      code === "invalid_union"
        ? `one of ${KINDS.map(({ type }) => type).join(", ")}`
        : "a group of settings, such as { type: … }",
  },
);

/** The regularizer on text that settings describe. */
export function makeRegularizer(settings: TextRegularizerConfig, material: TextMaterial): Regularizer {
  return kindOf(onText, settings).make(settings, material);
}

/** The penalty on the adapter's matrices that settings describe. */
export function makeAdapterPenalty(settings: AdapterRegularizerConfig, material: AdapterMaterial): AdapterPenalty {
  return kindOf(onAdapter, settings).make(settings, material);
}

/** What a regularizer measures, as a formula: `KL(reference‖model)`. */
export function formula(settings: RegularizerConfig): string {
  return kindOf(KINDS, settings).formula(settings);
}

/** Given names, or the type, numbered where it occurs again. A name that is given twice stays so. */
export function namesOf(regularizers: readonly Pick<RegularizerConfig, "name" | "type">[]): string[] {
  const names: string[] = [];
  for (const { name, type } of regularizers) {
    let unique = name ?? type;
    for (let n = 2; name === null && names.includes(unique); n++) unique = `${type}_${n}`;
    names.push(unique);
  }
  return names;
}

function kindOf<One extends { readonly type: string }>(
  kinds: readonly One[],
  { type }: { readonly type: string },
): One {
  const kind = kinds.find((each) => each.type === type);
  if (!kind) throw new TypeError(`no regularizer of type ${type}`);
  return kind;
}

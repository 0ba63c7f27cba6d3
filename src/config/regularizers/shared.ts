import { z } from "zod";
import type { SamplingClient } from "../../model/contract.ts";
import type { Reference } from "../../reference/contract.ts";
import type { AdapterPenalty, Factors } from "../../regularizer/adapter/contract.ts";
import { ELASTIC_NET_DEFAULTS } from "../../regularizer/adapter/elastic-net.ts";
import type { Regularizer } from "../../regularizer/contract.ts";
import { DIVERGENCE_DEFAULTS } from "../../regularizer/reference-options.ts";
import { uncontrolled, weight } from "../coefficients/index.ts";
import type { Kind } from "../kind.ts";
import { flag, oneOf, positive, share, text, unset, whole } from "../values.ts";

/** @file What several kinds of regularizers have in common. */

/** What a regularizer on text needs besides its settings. */
export interface TextMaterial {
  readonly name: string;
  readonly reference: Reference;
  /** A sampler over the weights as they are. */
  readonly model: SamplingClient;
  /** Of consistency, unless set. */
  readonly seed: number;
}

/** What a penalty on the adapter's matrices needs besides its settings. */
export interface AdapterMaterial {
  readonly name: string;
}

type KindOf<Schema extends z.ZodType, Made, Material> = Kind<z.output<Schema>, Made, Material, Schema>;

/** A kind that works on text, its types taken from its schema. */
export function onText<Schema extends z.ZodType>(
  kind: KindOf<Schema, Regularizer, TextMaterial>,
): KindOf<Schema, Regularizer, TextMaterial> {
  return kind;
}

/** A kind that works on the adapter's matrices, its types taken from its schema. */
export function onAdapter<Schema extends z.ZodType>(
  kind: KindOf<Schema, AdapterPenalty, AdapterMaterial>,
): KindOf<Schema, AdapterPenalty, AdapterMaterial> {
  return kind;
}

export const name = unset(text("a name")).describe("names its metrics (default: its type)");

/** The weights of regularizers on text, and of penalties on the adapter, which measure no nats. */
export const textWeight = weight.describe("as above");
export const adapterWeight = uncontrolled;
/** Of a sum over all entries. */
export const entryWeight = uncontrolled
  .default(ELASTIC_NET_DEFAULTS.weight)
  .describe("as above, of a sum over all entries of the adapter");

const TOKENS = "token ids, or texts of one token each";

export const exclude_tokens = z
  .array(z.union([whole(0), text("")], { error: TOKENS }), { error: `a list of ${TOKENS}` })
  .nullable()
  .transform((tokens) => tokens ?? [])
  .default([])
  .describe("positions whose target is one of these tokens are skipped: ids, or texts of one token each");
export const reduction = oneOf(["mean", "sum"])
  .default(DIVERGENCE_DEFAULTS.reduction)
  .describe("over the tokens of a batch: their weighted mean, or sum");
export const epsilon = share
  .default(DIVERGENCE_DEFAULTS.epsilon)
  .describe("smooths the reference: q ← (1 − ε)·q + ε / vocabulary");
export const clip = unset(positive).describe("the most nats a token may count (default: no limit)");
export const symmetric = flag.describe("the Jensen–Shannon divergence instead");

export const factors = oneOf(["both", "A", "B"])
  .default(ELASTIC_NET_DEFAULTS.factors)
  .describe("which matrices of each pair, of the update B·A");

/** The matrices in a formula. */
export function factorNames(factors: Factors): string {
  return factors === "both" ? "A, B" : factors;
}

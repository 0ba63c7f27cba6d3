import { createRandom, shuffled } from "../../src/common/random.ts";
import { cutRows, type Datum, rowCount } from "../../src/data/datum.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import type { GradientSum, Loss, Measured, OpenLoss, PositionValues, Span, Step } from "../../src/loss/contract.ts";
import { itemsOf, SINGLE_STEP, wholeSpans } from "../../src/loss/items.ts";
import type { Penalty } from "../../src/regularizer/compute.ts";

/** @file Losses over a batch that comes in parts, as an engine brings them. */

/** Positions of a batch, part by part. */
export type Parts = readonly (readonly Span[])[];

/** What a batch is in when it comes in parts. */
export interface InPartsOptions {
  readonly step?: Partial<Step>;
  /** The sum that gradients are added to, one tensor per datum. Default: zeros, scale 1. */
  readonly into?: GradientSum;
}

/**
 * What `compute` gives, of a batch that comes in these parts: gradients are added to views of the sum, and a part's
 * log-probabilities are written over as soon as it is taken.
 */
export async function inParts(
  loss: Loss,
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  parts: Parts,
  options: InPartsOptions = {},
): Promise<Penalty> {
  const { value, gradient, metrics, positions } = await measuredInParts<Measured>(loss, data, logprobs, parts, options);
  return { loss: value, gradient, metrics, positions: positions && joined(data, positions) };
}

/** A loss of a kind of its own, under way. */
type Opened<Own> = Pick<OpenLoss, "add"> & { end(): Own };

/** The same, as the loss measured it. */
export async function measuredInParts<Own extends Measured>(
  loss: {
    begin(...args: Parameters<Loss["begin"]>): Promise<Opened<Own>> | Opened<Own>;
  },
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  parts: Parts,
  { step = {}, into = { gradient: zerosLike(logprobs), scale: 1 } }: InPartsOptions = {},
): Promise<Own & { readonly gradient: readonly Tensor[] }> {
  const open = await loss.begin(itemsOf(data), { ...SINGLE_STEP, ...step });
  for (const spans of parts) {
    const cut = spans.map(({ index, from, to }) => {
      const { data, shape } = cutRows(logprobs[index]!, from, to);
      return { data: data.slice(), shape };
    });
    const gradient = spans.map(({ index, from, to }) => cutRows(into.gradient[index]!, from, to));
    await open.add({ spans, logprobs: cut }, { gradient, scale: into.scale });
    for (const { data } of cut) data.fill(Number.NaN);
  }
  return { ...open.end(), gradient: into.gradient };
}

export function zerosLike(tensors: readonly Tensor[]): Tensor[] {
  return tensors.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
}

/** Everything at once. */
export function whole(data: readonly Datum[]): Parts {
  return [wholeSpans(itemsOf(data))];
}

/** A datum a part. */
export function datumByDatum(data: readonly Datum[]): Parts {
  return wholeSpans(itemsOf(data)).map((span) => [span]);
}

/** A position a part. */
export function positionByPosition(data: readonly Datum[]): Parts {
  return data.flatMap((datum, index) =>
    Array.from({ length: rowCount(datum) }, (_, from) => [{ index, from, to: from + 1 }]),
  );
}

/** Cut anywhere, in any order: spans of 1 to 3 positions, 1 to 3 of them a part, those of one datum not together. */
export function shuffledParts(data: readonly Datum[], seed: number): Parts {
  const random = createRandom(seed);
  const upTo3 = () => 1 + Math.floor(3 * random());
  const spans: Span[] = [];
  for (const [index, datum] of data.entries()) {
    for (let from = 0; from < rowCount(datum); from = spans.at(-1)!.to) {
      spans.push({ index, from, to: Math.min(rowCount(datum), from + upTo3()) });
    }
  }
  const rest = shuffled(spans, random);
  const parts: Span[][] = [];
  while (rest.length > 0) parts.push(rest.splice(0, upTo3()));
  return parts;
}

/** The values of each datum's positions, put together in the order of the data. */
function joined(data: readonly Datum[], positions: readonly PositionValues[]): PositionValues[] {
  return data.map((datum) => {
    const values = new Float32Array(rowCount(datum)).fill(Number.NaN);
    for (const part of positions) if (part.datum === datum) values.set(part.values, part.from);
    return { datum, from: 0, values };
  });
}

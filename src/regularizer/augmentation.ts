import { UserError } from "../common/errors.ts";
import { createRandom, type Random, randomInteger } from "../common/random.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import type { Item } from "../loss/contract.ts";

/**
 * Another look at a datum: the same target positions, asked of a changed text. Positions that the change leaves without a
 * meaning get the weight 0. `random` is fixed by seed, step and text, whatever else is in the batch.
 */
export type View = (datum: Datum, random: Random) => Datum;

/** How much of a text is changed. */
export interface NoiseOptions {
  /** The share of tokens that change, from 0 to below 1. Default 0.1. */
  readonly rate?: number | undefined;
}

/** Defaults of both augmentations. */
export const NOISE_DEFAULTS = { rate: 0.1 } as const;

/**
 * Replaces tokens by others of the same text. The first token stays, since models expect it; rows that have read a
 * replaced token last do not count, since they are asked to continue another word.
 *
 * @example const view = tokenReplacement({ rate: 0.1 });
 * @see Xie et al. 2017, Data Noising as Smoothing in Neural Network Language Models (unigram noising)
 */
export function tokenReplacement({ rate = NOISE_DEFAULTS.rate }: NoiseOptions = {}): View {
  checkRate(rate);
  return (datum, random) => {
    const { modelInput } = datum;
    const changed = choose(modelInput.length, rate, random);
    const tokens = modelInput.map((token, i) =>
      changed[i] ? modelInput[randomInteger(random, modelInput.length)]! : token,
    );
    return { ...datum, modelInput: tokens, lossInputs: { ...datum.lossInputs, weights: unlessRead(datum, changed) } };
  };
}

/**
 * Leaves tokens out, so that the text closes up behind them. The first token stays; rows that have read a missing token
 * last do not count.
 *
 * @example const view = tokenDropout({ rate: 0.1 });
 * @see Xie et al. 2017, Data Noising as Smoothing in Neural Network Language Models; Iyyer et al. 2015 (word dropout)
 */
export function tokenDropout({ rate = NOISE_DEFAULTS.rate }: NoiseOptions = {}): View {
  checkRate(rate);
  return (datum, random) => {
    const { modelInput, lossInputs } = datum;
    const missing = choose(modelInput.length, rate, random);
    let kept = 0;
    // Where each token of the text, or the last one kept before it, sits in the view.
    const place = missing.map((gone) => (gone ? kept : ++kept) - 1);
    const positions = {
      data: Int32Array.from({ length: rowCount(datum) }, (_, row) => place[lastRead(datum, row)]!),
      shape: [rowCount(datum)],
    };
    const tokens = modelInput.filter((_, i) => !missing[i]);
    return {
      ...datum,
      modelInput: tokens,
      lossInputs: { ...lossInputs, positions, weights: unlessRead(datum, missing) },
    };
  };
}

/**
 * The view of an item in a step of training.
 *
 * @throws UserError when it has other target positions than the datum.
 */
export function viewOf(view: View, { datum, weights }: Item, seed: number, step: number): Datum {
  const weighted = { data: weights, shape: [weights.length] };
  const seen = view(
    { ...datum, lossInputs: { ...datum.lossInputs, weights: weighted } },
    createRandom(mix(datum.modelInput, seed, step)),
  );
  if (rowCount(seen) !== rowCount(datum)) {
    throw new UserError(
      `the view of ${datum.source ?? "a datum"} must keep the datum's ${rowCount(datum)} target positions, found ${rowCount(seen)}: change modelInput, positions and weights, not the targets`,
    );
  }
  return seen;
}

function lastRead({ lossInputs: { positions } }: Datum, row: number): number {
  return positions?.data[row] ?? row;
}

function choose(length: number, rate: number, random: Random): boolean[] {
  return Array.from({ length }, (_, i) => i > 0 && random() < rate);
}

/** The datum's weights, 0 for rows that have read a changed token last. */
function unlessRead(datum: Datum, changed: readonly boolean[]) {
  const { data, shape } = datum.lossInputs.weights;
  return { data: data.map((weight, row) => (changed[lastRead(datum, row)] ? 0 : weight)), shape };
}

/** One whole number from many, after Fowler, Noll & Vo (FNV-1a, a token at a time). */
function mix(tokens: Int32Array, ...more: readonly number[]): number {
  let hash = 0x811c9dc5;
  const add = (x: number) => {
    hash = Math.imul(hash ^ x, 0x01000193);
  };
  more.forEach(add);
  tokens.forEach(add);
  return hash;
}

function checkRate(rate: number): void {
  if (!(rate >= 0 && rate < 1))
    throw new UserError(`the rate of changed tokens is ${rate}, expected a number from 0 to below 1`);
}

import { UserError } from "../../common/errors.ts";
import { greatest } from "../../common/extremes.ts";
import { type Datum, rowCount } from "../../data/datum.ts";
import type { Columns } from "../families/columns.ts";
import type { ModelConfig } from "../families/model-config.ts";

/**
 * Data laid out for the decoder: right-padded to one length, so that all begin at column 0. No token that counts ever sees
 * the padding.
 */
export interface Batch extends Columns {
  readonly data: readonly Datum[];
  /** Where each datum stands in the list that was split into batches. */
  readonly indices: readonly number[];
  /** [batch · length], 0 where there is padding. */
  readonly tokens: Int32Array;
}

/** Splits data into batches of at most so many tokens, neighbours in length together, so that little is padding. */
export function splitBatches(data: readonly Datum[], config: ModelConfig, tokensAtOnce: number): Batch[] {
  for (const [i, datum] of data.entries()) checkDatum(datum, i, config);
  const length = (i: number) => data[i]!.modelInput.length;
  const order = data.map((_, i) => i).sort((a, b) => length(a) - length(b));
  const parts: number[][] = [[]];
  for (const i of order) {
    const part = parts.at(-1)!;
    if (part.length > 0 && (part.length + 1) * length(i) > tokensAtOnce) parts.push([i]);
    else part.push(i);
  }
  return parts
    .filter((part) => part.length > 0)
    .map((part) =>
      layOut(
        data,
        part.sort((a, b) => a - b),
      ),
    );
}

function layOut(all: readonly Datum[], indices: readonly number[]): Batch {
  const data = indices.map((i) => all[i]!);
  const length = greatest(data.map((datum) => datum.modelInput.length));
  const tokens = new Int32Array(data.length * length);
  for (const [b, { modelInput }] of data.entries()) tokens.set(modelInput, b * length);
  return { data, indices, batch: data.length, length, tokens };
}

/** The token of its model input after which position i of the datum predicts. */
export function tokenOf({ lossInputs: { positions } }: Datum, position: number): number {
  return positions ? positions.data[position]! : position;
}

/** @throws UserError for a datum that the model cannot read. */
function checkDatum(datum: Datum, index: number, config: ModelConfig): void {
  const name = datum.source ?? `datum ${index}`;
  const { modelInput, lossInputs } = datum;
  const count = rowCount(datum);
  const refuse = (what: string) => {
    throw new UserError(`${name} ${what}`);
  };
  if (modelInput.length === 0) refuse("has no tokens; a model needs at least one to read.");
  if (modelInput.length > config.maxPositions) {
    refuse(`has ${modelInput.length} tokens, the model reads at most ${config.maxPositions}; shorten or split it.`);
  }
  if (lossInputs.weights.data.length !== count) {
    refuse(`has ${count} target_tokens and ${lossInputs.weights.data.length} weights; give one weight per target.`);
  }
  if (!lossInputs.positions && count !== modelInput.length) {
    refuse(
      `has ${modelInput.length} input tokens and ${count} target_tokens; give one target per token, or positions.`,
    );
  }
  const positions = lossInputs.positions?.data;
  if (positions && (positions.length !== count || positions.some((p) => p < 0 || p >= modelInput.length))) {
    refuse(`needs ${count} positions within 0 to ${modelInput.length - 1}, found [${positions.join(", ")}].`);
  }
  for (const tokens of [modelInput, lossInputs.target_tokens.data]) {
    const stray = tokens.find((token) => token < 0 || token >= config.vocabSize);
    if (stray !== undefined) {
      refuse(
        `holds token ${stray}, the model's vocabulary has ${config.vocabSize}; was it tokenized for another model?`,
      );
    }
  }
}

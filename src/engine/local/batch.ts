import type * as ort from "onnxruntime-node";
import { UserError } from "../../common/errors.ts";
import { type Datum, rowCount } from "../../data/datum.ts";
import type { ModelConfig } from "../families/model-config.ts";
import { type Dims, floats, int64s } from "./program.ts";

/** Data laid out for the decoder: right-padded to one length. No token that counts ever sees the padding. */
export interface Batch {
  readonly data: readonly Datum[];
  /** Where each datum stands in the list that was split into batches. */
  readonly indices: readonly number[];
  /** Tokens of one sequence, padding included. */
  readonly length: number;
  /** [batch · length], 0 where there is padding. */
  readonly tokens: Int32Array;
}

/** A score so low that its softmax is exactly 0 in float32, yet finite, so that a row of padding stays a number. */
const MASKED = -1e30;

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
  const length = Math.max(...data.map((datum) => datum.modelInput.length));
  const tokens = new Int32Array(data.length * length);
  for (const [b, { modelInput }] of data.entries()) tokens.set(modelInput, b * length);
  return { data, indices, length, tokens };
}

/** Where row i of the datum sits in its model input. */
export function rowPosition({ lossInputs: { positions } }: Datum, row: number): number {
  return positions ? positions.data[row]! : row;
}

/** Sizes of all named dimensions of a decoder that reads `length` more tokens of each sequence after `past` earlier ones. */
export function decoderDims(config: ModelConfig, batch: number, length: number, past = 0): Dims {
  const queries = (config.heads / config.kvHeads) * length;
  return { batch, length, tokens: batch * length, queries, past, context: past + length };
}

/** The causal mask [queries, length] of right-padded sequences: the padding comes last, so nothing else is masked. */
export function causalMask(config: ModelConfig, length: number): ort.Tensor {
  const group = config.heads / config.kvHeads;
  const mask = new Float32Array(group * length * length);
  for (let row = 0; row < group * length; row++) {
    mask.fill(MASKED, row * length + (row % length) + 1, (row + 1) * length);
  }
  return floats(mask, [group * length, length]);
}

/** The mask [batch, 1, queries, context] of left-padded sequences, of which number b begins at column `starts[b]`. */
export function cachedMask(config: ModelConfig, starts: readonly number[], length: number, past: number): ort.Tensor {
  const context = past + length;
  const queries = (config.heads / config.kvHeads) * length;
  const mask = new Float32Array(starts.length * queries * context);
  for (const [b, start] of starts.entries()) {
    for (let query = 0; query < queries; query++) {
      const row = (b * queries + query) * context;
      mask.fill(MASKED, row, row + start);
      mask.fill(MASKED, row + past + (query % length) + 1, row + context);
    }
  }
  return floats(mask, [starts.length, 1, queries, context]);
}

/** [batch, length] positions of tokens that follow `past` columns, counted from each sequence's start. */
export function tokenPositions(starts: readonly number[], length: number, past = 0): ort.Tensor {
  const positions = starts.flatMap((start) => Array.from({ length }, (_, t) => Math.max(0, past + t - start)));
  return int64s(positions, [starts.length, length]);
}

/** @throws UserError for a datum that the model cannot read. */
function checkDatum(datum: Datum, index: number, config: ModelConfig): void {
  const name = datum.source ?? `datum ${index}`;
  const { modelInput, lossInputs } = datum;
  const rows = rowCount(datum);
  const refuse = (what: string) => {
    throw new UserError(`${name} ${what}`);
  };
  if (modelInput.length === 0) refuse("has no tokens; a model needs at least one to read.");
  if (modelInput.length > config.maxPositions) {
    refuse(`has ${modelInput.length} tokens, the model reads at most ${config.maxPositions}; shorten or split it.`);
  }
  if (lossInputs.weights.data.length !== rows) {
    refuse(`has ${rows} target_tokens and ${lossInputs.weights.data.length} weights; give one weight per target.`);
  }
  if (!lossInputs.positions && rows !== modelInput.length) {
    refuse(`has ${modelInput.length} input tokens and ${rows} target_tokens; give one target per token, or positions.`);
  }
  const positions = lossInputs.positions?.data;
  if (positions && (positions.length !== rows || positions.some((p) => p < 0 || p >= modelInput.length))) {
    refuse(`needs ${rows} positions within 0 to ${modelInput.length - 1}, found [${positions.join(", ")}].`);
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

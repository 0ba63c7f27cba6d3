import { fromHalves, toHalves } from "../../data/half.ts";
import { type TopK, topK } from "../../divergence/supports/top-k.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * @file One text's rows as bytes.
 *
 *     M, then M positions, each as its distance from the one before: LEB128
 *     top-k:  k token ids of each row, ascending, their gaps Rice-coded
 *             M · k log-probabilities, then M of the rest: float16
 *     hidden: M · d numbers of the final hidden states: float16
 *     M entropies of the whole distributions, in nats: float16
 *
 * An entry of a top-k takes 2 bytes for its number and at most log2(V / k) + 3 bits for its id.
 */

/** What is kept at each position: k tokens and the rest, or the final hidden states [M, d]. */
export type Kept = TopK | Tensor;

/** The rows of one text. */
export interface StoredRows {
  /** [M] the positions of the rows in the text; ascending when they are encoded. */
  readonly positions: Int32Array;
  readonly kept: Kept;
  /** [M] entropy of the reference's distribution, in nats. */
  readonly entropy: Float32Array;
}

/** The format of a row. */
export interface RowFormat {
  readonly kind: "top-k" | "hidden";
  /** k tokens, or d numbers. */
  readonly width: number;
  /** V. */
  readonly vocabulary: number;
}

export function encodeRows({ positions, kept, entropy }: StoredRows, { vocabulary }: RowFormat): Buffer {
  const bytes = new ByteWriter();
  bytes.count(positions.length);
  for (const [i, position] of positions.entries()) bytes.count(position - (i === 0 ? 0 : positions[i - 1]!));
  if ("support" in kept) writeTopK(bytes, kept, vocabulary);
  else bytes.halves(toHalves(kept.data));
  bytes.halves(toHalves(entropy));
  return bytes.take();
}

/**
 * The rows at `wanted` positions, in that order; all rows by default. Undefined when one of them is missing.
 *
 * Rounding changes the sum of a row's probabilities: they are divided by it.
 */
export function decodeRows(bytes: Buffer, format: RowFormat, wanted?: Int32Array): StoredRows | undefined {
  const reader = new ByteReader(bytes);
  const positions = readPositions(reader);
  const rows = wanted ? findAll(positions, wanted) : positions.map((_, row) => row);
  if (!rows) return undefined;
  const count = positions.length;
  const kept =
    format.kind === "top-k" ? readTopK(reader, count, format, rows) : readHidden(reader, count, format, rows);
  const entropy = fromHalves(reader.halves(count));
  return {
    positions: rows.map((row) => positions[row]!),
    kept,
    entropy: Float32Array.from(rows, (row) => entropy[row]!),
  };
}

/** The positions alone. */
export function decodePositions(bytes: Buffer): Int32Array {
  return readPositions(new ByteReader(bytes));
}

function readPositions(reader: ByteReader): Int32Array {
  const positions = new Int32Array(reader.length());
  let last = 0;
  for (let i = 0; i < positions.length; i++) {
    last += reader.count();
    positions[i] = last;
  }
  return positions;
}

/** How many low bits of a gap are written as they are. */
function lowBits(k: number, vocabulary: number): number {
  return Math.floor(Math.log2(vocabulary / k));
}

function writeTopK(bytes: ByteWriter, { tokens, logprobs, tail }: TopK, vocabulary: number): void {
  const k = tokens.shape.at(-1)!;
  const rows = tokens.data.length / k;
  const low = lowBits(k, vocabulary);
  const sorted = new Float32Array(logprobs.data.length);
  const order = Array.from({ length: k }, (_, i) => i);
  for (let row = 0; row < rows; row++) {
    const ids = tokens.data.subarray(row * k, row * k + k);
    order.sort((a, b) => ids[a]! - ids[b]!);
    bytes.ascending(
      Int32Array.from(order, (i) => ids[i]!),
      low,
    );
    for (const [at, i] of order.entries()) sorted[row * k + at] = logprobs.data[row * k + i]!;
  }
  bytes.halves(toHalves(sorted));
  bytes.halves(toHalves(tail!.data));
}

function readTopK(reader: ByteReader, count: number, { width: k, vocabulary }: RowFormat, rows: Int32Array): TopK {
  const low = lowBits(k, vocabulary);
  const allTokens = new Int32Array(count * k);
  for (let row = 0; row < count; row++) reader.ascending(allTokens.subarray(row * k, row * k + k), low);
  const allLogprobs = fromHalves(reader.halves(count * k));
  const allTails = fromHalves(reader.halves(count));
  const tokens = new Int32Array(rows.length * k);
  const logprobs = new Float32Array(rows.length * k);
  const tail = new Float32Array(rows.length);
  for (const [to, row] of rows.entries()) {
    tokens.set(allTokens.subarray(row * k, row * k + k), to * k);
    let sum = Math.exp(allTails[row]!);
    for (let i = row * k; i < row * k + k; i++) sum += Math.exp(allLogprobs[i]!);
    const logSum = Math.log(sum);
    tail[to] = allTails[row]! - logSum;
    for (let i = 0; i < k; i++) logprobs[to * k + i] = allLogprobs[row * k + i]! - logSum;
  }
  const shape = [rows.length, k];
  return topK({ data: tokens, shape }, { data: logprobs, shape }, { tail: { data: tail, shape: [rows.length] } });
}

function readHidden(reader: ByteReader, count: number, { width: d }: RowFormat, rows: Int32Array): Tensor {
  const all = fromHalves(reader.halves(count * d));
  const data = new Float32Array(rows.length * d);
  for (const [to, row] of rows.entries()) data.set(all.subarray(row * d, row * d + d), to * d);
  return { data, shape: [rows.length, d] };
}

/** The indices of `wanted` in an ascending list; undefined unless all are there. */
function findAll(ascending: Int32Array, wanted: Int32Array): Int32Array | undefined {
  const found = new Int32Array(wanted.length);
  for (const [i, number] of wanted.entries()) {
    let [from, to] = [0, ascending.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (ascending[middle]! < number) from = middle + 1;
      else to = middle;
    }
    if (ascending[from] !== number) return undefined;
    found[i] = from;
  }
  return found;
}

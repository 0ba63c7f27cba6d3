import { UserError } from "../common/errors.ts";
import { greatest, least as leastOf } from "../common/extremes.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { crossEntropy } from "../divergence/cross-entropy.ts";
import { NORMALIZATION_TOLERANCE } from "../divergence/not-normalized.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { isTopK, type ReferenceRows } from "./contract.ts";

/**
 * Checks that the rows of one datum are log-probabilities: numbers, and over the whole vocabulary Σ exp = 1 within 0.001.
 * Positions of weight 0 are not checked; a wrong shape is left to `checkShapes`, which knows the model's.
 *
 * @throws UserError that names datum, position and token, says what was found, and what it looks like: logits, probabilities,
 * tempered or filtered log-probabilities.
 */
export function checkRows(datum: Datum, index: number, rows: ReferenceRows, description: string): void {
  const known = isTopK(rows) ? rows.logprobs : rows;
  const [count, size] = known.shape;
  if (known.shape.length !== 2 || count !== rowCount(datum) || known.data.length !== count * size!) return;
  const { weights } = datum.lossInputs;
  const logSums = isTopK(rows) || size === 0 ? undefined : logSumExp(rows, weights);
  for (let row = 0; row < count; row++) {
    if (weights.data[row] === 0) continue;
    // Nearly all rows are clearly normalized. The others are checked number by number.
    if (logSums && Math.abs(Math.expm1(logSums[row]!)) < 0.9 * NORMALIZATION_TOLERANCE) continue;
    const numbers = rowAt(known, row);
    const at = `${formatDatum(datum, index)}, position ${row}`;
    let sum = 0;
    for (let i = 0; i < numbers.length; i++) sum += Math.exp(numbers[i]!);
    if (Number.isNaN(sum)) {
      const token = numbers.findIndex(Number.isNaN);
      throw new UserError(
        `the log-probabilities of the reference (${description}) hold NaN at ${at}, ` +
          `token ${isTopK(rows) ? rows.tokens.data[row * size! + token] : token}: expected numbers`,
      );
    }
    const most = 1 + NORMALIZATION_TOLERANCE;
    if (sum <= most && (isTopK(rows) || sum >= 1 - NORMALIZATION_TOLERANCE)) continue;
    const found = `the probabilities ${isTopK(rows) ? `of the ${size} tokens ` : ""}sum to ${Number(sum.toPrecision(4))}`;
    throw new UserError(
      `the reference (${description}), ${at}: ${found}, expected ${isTopK(rows) ? "at most 1" : "1 within 0.001"}: ${looksLike(known, weights, isTopK(rows))}`,
    );
  }
}

/** log Σ exp of each row of weight > 0, by the kernels: −log p of token 0, plus its logit. NaN where that is −∞, or anything NaN. */
function logSumExp(rows: Tensor, weights: Tensor): Float32Array {
  const [count, size] = rows.shape as [number, number];
  const counted = weights.data.map((weight) => (weight === 0 ? 0 : 1));
  const first = { data: new Int32Array(count), shape: [count] };
  const { data } = crossEntropy(rows, first, { input: "logits", reduction: "none", weights: counted });
  return data.map((loss, row) => loss + rows.data[row * size]!);
}

/** What numbers that are not log-probabilities look like, and so what to do. */
function looksLike(rows: Tensor, weights: Tensor, sparse: boolean): string {
  const counted = [...weights.data.keys()].filter((row) => weights.data[row] !== 0).map((row) => rowAt(rows, row));
  const every = (holds: (x: number) => boolean) => counted.every((row) => row.every(holds));
  if (every((x) => x >= 0 && x <= 1)) return "they look like probabilities: give their logarithms";
  if (!every((x) => x <= NORMALIZATION_TOLERANCE)) {
    return "some are above 0, as logits are: give log-probabilities, log softmax of them";
  }
  if (sparse) return "give log-probabilities in the whole vocabulary, as softmax at temperature 1 makes them";
  const temperature = commonTemperature(counted);
  if (temperature !== undefined) {
    const T = Number(temperature.toPrecision(3));
    return `they look like log-probabilities divided by a temperature of ${T}: give them at temperature 1, or set temperature: ${T}`;
  }
  return "give log-probabilities over the whole vocabulary, not logits, not tempered, filtered or of target tokens alone";
}

/** The T for which Σ exp(T·x) is 1 in every row, if one T does for several. */
function commonTemperature(rows: readonly Float32Array[]): number | undefined {
  const found = rows.slice(0, 8).map(solve);
  const [least, most] = [leastOf(found), greatest(found)];
  return found.length > 1 && most - least <= 0.002 * most ? (least + most) / 2 : undefined;
}

/** Bisects Σ exp(T·x) − 1, which falls with T where all x are below 0. */
function solve(row: Float32Array): number {
  let [low, high] = [0, 1000];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    let sum = 0;
    for (const x of row) sum += Math.exp(middle * x);
    if (sum > 1) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function rowAt({ data, shape }: Tensor, row: number): Float32Array {
  const size = shape[1]!;
  return data.subarray(row * size, (row + 1) * size);
}

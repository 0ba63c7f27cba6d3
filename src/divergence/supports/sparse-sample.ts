import { within } from "../options.ts";
import { loadRow, rowScratch } from "../row.ts";
import { formatShape, type Tensor } from "../tensor.ts";

/**
 * A reference known by tokens that were drawn from it: which, how often, and how probable they were. Rows have different
 * numbers of tokens, and are packed: those of row r are entries `offsets[r]` to before `offsets[r + 1]`.
 */
export interface SparseSample {
  readonly support: "sparseSample";
  /** Token ids, none twice in a row. */
  readonly tokens: Int32Array;
  /** How often each was drawn, at least once. */
  readonly counts: Int32Array;
  /** Its natural log-probability in the reference. */
  readonly logprobs: Float32Array;
  readonly offsets: Int32Array;
}

/**
 * Takes tokens drawn from the reference, each with its count and log-probability.
 *
 * @throws RangeError for lists of different lengths, offsets that do not fit them, a row without draws, or a token that
 * was drawn though impossible.
 * @example
 * sparseSample({
 *   tokens: Int32Array.of(3, 0, 1),
 *   counts: Int32Array.of(6, 2, 8),
 *   logprobs: Float32Array.of(-0.3, -1.4, -0.1),
 *   offsets: Int32Array.of(0, 2, 3), // two rows: tokens 3 and 0, and token 1
 * });
 */
export function sparseSample({ tokens, counts, logprobs, offsets }: Omit<SparseSample, "support">): SparseSample {
  const size = tokens.length;
  if (counts.length !== size || logprobs.length !== size) {
    throw new RangeError(
      `found ${size} tokens, ${counts.length} counts and ${logprobs.length} logprobs: give one of each per token drawn`,
    );
  }
  if (offsets[0] !== 0 || offsets.at(-1) !== size) {
    throw new RangeError(
      `the offsets run from ${offsets[0]} to ${offsets.at(-1)}, expected 0 to ${size}, the number of tokens`,
    );
  }
  for (let r = 0; r + 1 < offsets.length; r++) {
    if (!(offsets[r + 1]! > offsets[r]!)) throw new RangeError(`row ${r} has no draws, expected at least one`);
  }
  for (let i = 0; i < size; i++) {
    if (counts[i]! < 1) throw new RangeError(`token ${tokens[i]} has count ${counts[i]}, expected at least 1`);
    if (logprobs[i] === Number.NEGATIVE_INFINITY) {
      throw new RangeError(
        `token ${tokens[i]} was drawn though its log-probability is -Infinity: give the reference's own`,
      );
    }
  }
  return { support: "sparseSample", tokens, counts, logprobs, offsets };
}

/**
 * Draws `draws` tokens from each row of a reference, with replacement.
 *
 * A few dozen keep what a top-k of that size loses: every token has its chance, and no expectation is biased.
 *
 * @param q [..., V] log-probabilities or logits; both are normalized.
 * @param random uniform numbers in [0, 1): a seeded source makes the sample repeatable.
 * @throws RangeError unless `draws` is a whole number of at least 1; for a row that is no distribution.
 * @example drawSparseSample(q, 50, Math.random)
 * @see Anshumann et al. 2025, Sparse Logit Sampling (arXiv 2503.16870)
 */
export function drawSparseSample(q: Tensor, draws: number, random: () => number): SparseSample {
  within("draws", draws, Number.isInteger(draws) && draws >= 1, "a whole number, at least 1");
  const size = q.shape.at(-1);
  if (!size)
    throw new RangeError(`found shape ${formatShape(q.shape)}, expected at least one outcome along the last axis`);
  const { p, logP } = rowScratch(size, false);
  const [tokens, counts, logprobs, offsets] = [[], [], [], [0]] as [number[], number[], number[], number[]];
  for (let from = 0; from < q.data.length; from += size) {
    const sum = loadRow(q.data, from, logP, p, 1, true);
    if (Number.isNaN(sum))
      throw new RangeError(`row ${from / size} of q is no distribution: nothing can be drawn from it`);
    const cumulative = runningSum(p);
    const drawn = new Map<number, number>();
    for (let n = 0; n < draws; n++) {
      const token = firstAbove(cumulative, random() * cumulative.at(-1)!);
      drawn.set(token, (drawn.get(token) ?? 0) + 1);
    }
    for (const [token, count] of drawn) {
      tokens.push(token);
      counts.push(count);
      logprobs.push(logP[token]!);
    }
    offsets.push(tokens.length);
  }
  return sparseSample({
    tokens: Int32Array.from(tokens),
    counts: Int32Array.from(counts),
    logprobs: Float32Array.from(logprobs),
    offsets: Int32Array.from(offsets),
  });
}

function runningSum(numbers: Float64Array): Float64Array {
  let sum = 0;
  return numbers.map((x) => {
    sum += x;
    return sum;
  });
}

/** The first index whose number is above x, which a number of the rising list must be. An outcome of probability 0 is never it. */
function firstAbove(rising: Float64Array, x: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rising[middle]! > x) high = middle;
    else low = middle + 1;
  }
  return low;
}

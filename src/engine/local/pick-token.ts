/** How the next token is drawn from a distribution. */
export interface Pick {
  /** 0: the likeliest token. */
  readonly temperature: number;
  /** Only so many of the likeliest. Default all. */
  readonly top_k?: number | undefined;
  /** Only the likeliest that make up this share together, after temperature and `top_k`. Default 1. */
  readonly top_p?: number | undefined;
}

/**
 * A token of softmax(logprobs / temperature), cut to `top_k` and `top_p` in that order, by inverse transform sampling.
 *
 * @param uniform in [0, 1).
 * @see Fan et al. 2018 (top-k), Holtzman et al. 2019 (top-p)
 */
export function pickToken(logprobs: Float32Array, { temperature, top_k, top_p = 1 }: Pick, uniform: number): number {
  const most = greatest(logprobs);
  if (temperature === 0) return most;
  const max = logprobs[most]!;
  const weights = logprobs.map((logprob) => Math.exp((logprob - max) / temperature));
  if ((top_k !== undefined && top_k < weights.length) || top_p < 1) cut(weights, top_k ?? weights.length, top_p);
  let rest = uniform * sum(weights);
  for (let i = 0; i < weights.length; i++) {
    rest -= weights[i]!;
    if (rest < 0) return i;
  }
  return most;
}

/** Sets all weights to 0 but those of the likeliest k that are needed for the share p of their sum; ties go by order. */
function cut(weights: Float32Array, k: number, p: number): void {
  const sorted = weights.slice().sort().reverse().subarray(0, k);
  const needed = p * sum(sorted);
  let count = 0;
  for (let total = 0; count < sorted.length && (count === 0 || total < needed); count++) total += sorted[count]!;
  const least = sorted[count - 1]!;
  let ties = 0;
  for (const weight of sorted.subarray(0, count)) if (weight === least) ties++;
  for (const [i, weight] of weights.entries()) {
    if (weight < least || (weight === least && ties-- <= 0)) weights[i] = 0;
  }
}

function sum(weights: Float32Array): number {
  let total = 0;
  for (const weight of weights) total += weight;
  return total;
}

function greatest(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

import type { GradientOptions, Reduced, Reduction, RowOptions, WithGradient } from "../options.ts";
import type { RowFormula } from "../row.ts";
import { overRows } from "../rows.ts";
import { formatShape, type Tensor } from "../tensor.ts";
import type { SparseSample } from "./sparse-sample.ts";

/** As for the whole vocabulary, but without a temperature: the sample was drawn at the one it was drawn at. */
export type SparseOptions<R extends Reduction = Reduction> = Omit<RowOptions<R>, "temperature">;

/**
 * An unbiased estimate of KL(reference‖model) from tokens drawn from the reference.
 *
 * KL(q‖p) ≈ Σ q̂·(log q − log p) with q̂ = counts / Σ counts, its gradient p − q̂. Their expectations over samples are the
 * divergence and its gradient over the whole vocabulary; a single value may be below 0. There is no such estimate of the
 * other direction, which needs the reference at tokens that it would not draw.
 *
 * @param p the model, [..., V]; `q` a sample for each of its rows. `SparseOptions` as in `klDivergence`.
 * @returns nats, as `klDivergence`.
 * @throws RangeError for a sample of another number of rows, or a token outside the vocabulary.
 * @example sparseKL.withGradient(p, drawSparseSample(q, 50, Math.random)).gradient
 * @see Anshumann et al. 2025, Sparse Logit Sampling (arXiv 2503.16870)
 */
export function sparseKL<R extends Reduction = "mean">(
  p: Tensor,
  q: SparseSample,
  options: SparseOptions<R> = {},
): Reduced<R> {
  return overRows<R>(fromSample(p, q), p, undefined, atOne(options), false).value;
}

sparseKL.withGradient = <R extends Reduction = "mean">(
  p: Tensor,
  q: SparseSample,
  options: SparseOptions<R> & GradientOptions = {},
): WithGradient<R> => overRows<R>(fromSample(p, q), p, undefined, atOne(options), true);

function atOne<T extends object>(options: T): T {
  if (((options as RowOptions).temperature ?? 1) === 1) return options;
  throw new RangeError(
    `temperature is ${(options as RowOptions).temperature}, but a sample cannot be softened afterwards: draw it from the softened reference, and divide the model's logits yourself`,
  );
}

function fromSample({ shape, data }: Tensor, { tokens, counts, logprobs, offsets }: SparseSample): RowFormula {
  const rows = data.length / (shape.at(-1) || 1);
  if (offsets.length !== rows + 1) {
    throw new RangeError(`found a sample of ${offsets.length - 1} rows for p ${formatShape(shape)}, expected ${rows}`);
  }
  return ({ index, p, logP, gradient }) => {
    const [from, to] = [offsets[index]!, offsets[index + 1]!];
    let draws = 0;
    for (let i = from; i < to; i++) draws += counts[i]!;
    gradient?.set(p);
    let kl = 0;
    for (let i = from; i < to; i++) {
      const token = tokens[i]!;
      if (token < 0 || token >= p.length) {
        throw new RangeError(`row ${index} of the sample has token ${token}, expected 0 to ${p.length - 1}`);
      }
      const share = counts[i]! / draws;
      kl += share * (logprobs[i]! - logP[token]!);
      if (gradient) gradient[token]! -= share;
    }
    return kl;
  };
}

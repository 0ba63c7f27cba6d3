import { UserError } from "../common/errors.ts";
import { type Datum, totalWeight, withWeights } from "../data/datum.ts";
import type { Regularizer } from "../loss/legacy.ts";

/**
 * The same regularizer, for which rows whose target is among these tokens do not count: neither in the loss, its
 * gradient and metrics, nor in what a mean divides by. The task's own loss still counts them.
 *
 * @param tokens ids. None: the regularizer itself.
 * @throws UserError for what is no token id; from `compute`, for a part of a batch (`totalWeight`) without the `batch`.
 * @example excludeTokens(new KLDivergence({ reference }), [tokenizer.eos])
 */
export function excludeTokens(regularizer: Regularizer, tokens: readonly number[]): Regularizer {
  const excluded = new Set(tokens);
  for (const token of excluded)
    if (!Number.isInteger(token) || token < 0)
      throw new UserError(
        `excludeTokens has ${token} among its tokens, expected token ids: whole numbers of at least 0`,
      );
  if (excluded.size === 0) return regularizer;
  const without = (datum: Datum): Datum => {
    const { target_tokens, weights } = datum.lossInputs;
    if (!target_tokens.data.some((token) => excluded.has(token))) return datum;
    const kept = weights.data.map((weight, row) => (excluded.has(target_tokens.data[row]!) ? 0 : weight));
    return withWeights(datum, { data: kept, shape: weights.shape });
  };
  return {
    name: regularizer.name,
    compute: (data, logprobs, options = {}) => {
      const { batch = data } = options;
      if (options.totalWeight !== undefined && !options.batch)
        throw new UserError(
          `excludeTokens was given a part of a batch by its totalWeight alone: give the whole batch too, to tell how much of it counts`,
        );
      return regularizer.compute(data.map(without), logprobs, {
        ...options,
        batch,
        totalWeight: totalWeight(batch.map(without)),
      });
    },
    observe: (step, measured) => regularizer.observe?.(step, measured),
  };
}

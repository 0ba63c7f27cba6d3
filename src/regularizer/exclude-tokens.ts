import { UserError } from "../common/errors.ts";
import type { Item } from "../loss/contract.ts";
import type { Regularizer } from "./contract.ts";

/**
 * The same regularizer, for which positions whose target is among these tokens do not count: neither in the loss, its
 * gradient and metrics, nor in what a mean divides by. The task's own loss still counts them.
 *
 * @param tokens ids. None: the regularizer itself.
 * @throws UserError for an invalid token id.
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
  const without = ({ datum, weights }: Item): Item => {
    const targets = datum.lossInputs.target_tokens.data;
    return { datum, weights: weights.map((weight, i) => (excluded.has(targets[i]!) ? 0 : weight)) };
  };
  const { name, weight, support, state } = regularizer;
  return {
    name,
    weight,
    ...(support && { support }),
    state,
    begin: (batch, step) => regularizer.begin(batch.map(without), step),
  };
}

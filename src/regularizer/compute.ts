import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Loss, PositionValues, Step } from "../loss/contract.ts";
import { GradientMemory } from "../loss/gradient-sum.ts";
import { itemsOf, SINGLE_STEP, wholeSpans } from "../loss/items.ts";

/** What a loss makes of data whose log-probabilities are known. */
export interface Penalty {
  /** The scalar that training minimizes, in nats. */
  readonly loss: number;
  /**
   * One tensor per datum, shaped like its log-probabilities: the gradient of `loss` with respect to the logits (to the
   * log-probabilities of targets for [M]).
   */
  readonly gradient: readonly Tensor[];
  readonly metrics: Readonly<Record<string, number>>;
  /** Each position's own value, where the loss has one for each. */
  readonly positions?: readonly PositionValues[] | undefined;
}

/**
 * A regularizer, or any loss, used alone: begins, takes the log-probabilities of all data as one part, and ends.
 *
 * @param logprobs the model's log-probabilities, [M, V] per datum; [M] for a loss that works on targets.
 * @param step what it is part of. Default: step 1, not reported in full.
 * @throws UserError, by rejecting, naming the datum, for data or distributions that the loss cannot use.
 * @example const { loss, gradient, metrics } = await compute(new KLDivergence({ reference }), data, logprobs);
 */
export async function compute(
  loss: Loss,
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  step: Partial<Step> = {},
): Promise<Penalty> {
  if (logprobs.length !== data.length) {
    throw new UserError(
      `found log-probabilities of ${logprobs.length} datums for ${data.length}: give one tensor [M, V] per datum`,
    );
  }
  const batch = itemsOf(data);
  const open = await loss.begin(batch, { ...SINGLE_STEP, ...step });
  const gradient = new GradientMemory().take(logprobs).zeros;
  await open.add({ spans: wholeSpans(batch), logprobs }, { gradient, scale: 1 });
  const { value, metrics, positions } = open.end();
  return { loss: value, gradient, metrics, positions };
}

import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import type { AddPart, Loss, Measured, Step } from "../loss/contract.ts";
import { itemsOf, SINGLE_STEP } from "../loss/items.ts";
import type { TrainingClient } from "./contract.ts";

/** Runs data forward and backward through an engine, with a loss in between. */
export type ForwardBackward = (data: readonly Datum[], add: AddPart) => Promise<void>;

/**
 * The way in which a client gives a loss the log-probabilities that it needs: whole distributions, or targets' alone. A
 * loss that takes either gets whole distributions where there are any.
 *
 * @param name what the message calls the loss.
 * @throws UserError for a loss of whole distributions on an engine that has none.
 */
export function forwardBackwardFor(
  client: TrainingClient,
  { support = "vocabulary" }: Pick<Loss, "support">,
  name = "this loss",
): ForwardBackward {
  const { vocabulary } = client;
  if (support !== "targets" && vocabulary) return (data, add) => vocabulary.forwardBackward(data, add);
  if (support !== "vocabulary") return (data, add) => client.forwardBackward(data, add);
  throw new UserError(
    `${name} needs log-probabilities of the whole vocabulary, and this engine gives those of target tokens alone: use a loss with support "targets" or "either", or an embedded engine`,
  );
}

/**
 * Adds the gradient of a loss over data to what has accumulated in the client: a step of training without its update. Each
 * position counts by its datum's own weight.
 *
 * @param step what the loss is told of the step. Default: the first, not reported in full.
 * @throws UserError for a loss of whole distributions on an engine that has none, and what the loss itself refuses.
 * @example
 * const { value } = await backward(client, data, crossEntropy());
 * await client.optimStep(adam);
 */
export async function backward(
  client: TrainingClient,
  data: readonly Datum[],
  loss: Loss,
  step: Step = SINGLE_STEP,
): Promise<Measured> {
  const run = forwardBackwardFor(client, loss);
  const open = await loss.begin(itemsOf(data), step);
  await run(data, (part, into) => open.add(part, into));
  return open.end();
}

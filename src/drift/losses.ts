import { type Datum, rowCount } from "../data/datum.ts";
import { runs } from "../data/runs.ts";
import type { Loss, Measured, Step } from "../loss/contract.ts";
import { itemsOf } from "../loss/items.ts";
import type { VocabularyModel, Waiting } from "../model/contract.ts";

/** How many positions' distributions are held at once. */
const ROWS_AT_ONCE = 256;

/**
 * The values of losses over data that are not trained on, each a mean over all positions of the data. The model stays as it
 * is.
 *
 * @param step what the losses are told of the step.
 * @returns what each of them measured, in their order.
 * @throws UserError for data that one of them cannot use.
 */
export async function measureLosses(
  model: Pick<VocabularyModel, "distributions">,
  losses: readonly Loss[],
  data: readonly Datum[],
  step: Step,
  { signal, onProgress }: Waiting = {},
): Promise<Measured[]> {
  const items = itemsOf(data);
  const open = [];
  for (const loss of losses) open.push(await loss.begin(items, step));
  let first = 0;
  for (const part of runs(data, ROWS_AT_ONCE, rowCount)) {
    signal?.throwIfAborted();
    const logprobs = await model.distributions(part);
    const spans = part.map((datum, i) => ({ index: first + i, from: 0, to: rowCount(datum) }));
    // Losses give their gradient too, which nobody wants here.
    const gradient = logprobs.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
    for (const each of open) await each.add({ spans, logprobs }, { gradient, scale: 0 });
    first += part.length;
    onProgress?.(first / data.length);
  }
  return open.map((each) => each.end());
}

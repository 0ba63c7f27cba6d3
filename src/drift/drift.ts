import { type Datum, rowCount, totalWeight } from "../data/datum.ts";
import { runs } from "../data/runs.ts";
import { crossEntropy } from "../divergence/cross-entropy.ts";
import { type Direction, klDivergence } from "../divergence/kl-divergence.ts";
import type { VocabularyModel, Waiting } from "../model/contract.ts";

/** What a model makes of given text, in nats per token: weighted means over all positions. */
export interface DriftMeasured {
  /** −log p of the text's tokens. */
  readonly cross_entropy: number;
  /** KL between the model's and the reference's distributions. */
  readonly drift: number;
}

/** How many positions' distributions are held at once, of the model and of the reference. */
const ROWS_AT_ONCE = 256;

/**
 * How far a model has moved from a reference on given text, and how well it predicts that text: Σ w·x / Σ w over positions.
 *
 * @param direction Default `"q||p"`, KL(reference‖model): on text drawn from the base it is what the model loses, in nats per
 * token, on what the base would say.
 * @throws RangeError when model and reference are over different vocabularies.
 * @example const { drift } = await measureDrift(client.sampler("current"), client.sampler("base"), data);
 */
export async function measureDrift(
  model: Pick<VocabularyModel, "distributions">,
  reference: Pick<VocabularyModel, "distributions">,
  data: readonly Datum[],
  direction: Direction = "q||p",
  { signal, onProgress }: Waiting = {},
): Promise<DriftMeasured> {
  const total = totalWeight(data);
  const measure = { cross_entropy: 0, drift: 0 };
  let done = 0;
  for (const part of runs(data, ROWS_AT_ONCE, rowCount)) {
    signal?.throwIfAborted();
    const [p, q] = [await model.distributions(part), await reference.distributions(part)];
    for (const [i, { lossInputs }] of part.entries()) {
      const options = { weights: lossInputs.weights, totalWeight: total };
      measure.cross_entropy += crossEntropy(p[i]!, lossInputs.target_tokens, options);
      measure.drift += klDivergence(p[i]!, q[i]!, { ...options, direction });
    }
    done += part.length;
    onProgress?.(done / data.length);
  }
  return measure;
}

import { type Datum, totalWeight } from "../data/datum.ts";
import type { Regularizer } from "../loss/legacy.ts";
import type { Weighted } from "../regularizer/compose.ts";
import { anchorStream } from "./anchor.ts";
import type { Held } from "./objective.ts";

/** A regularizer in one step, and the text it works on there. */
export interface HeldInStep extends Weighted {
  /** Its anchors' rows. */
  readonly text: readonly Datum[];
  /** Whether it works on the batch's own rows, too or alone. */
  readonly onCompletions: boolean;
}

/** Gives each regularizer its text, a step at a time. */
export function stepTexts(
  regularizers: readonly Held[],
): (step: number, batch: readonly Datum[]) => Promise<HeldInStep[]> {
  const held = regularizers.map(({ anchors = [], completions = anchors.length === 0, ...weighted }) => ({
    streams: anchors.map(anchorStream),
    onCompletions: completions,
    weighted,
  }));
  return async (step, batch) => {
    const inStep: HeldInStep[] = [];
    for (const { streams, onCompletions, weighted } of held) {
      const text: Datum[] = [];
      for (const next of streams) text.push(...(await next(step)));
      const { regularizer, weight } = weighted;
      const isMixed = onCompletions && text.length > 0;
      inStep.push({
        regularizer: isMixed ? within(regularizer, [...batch, ...text]) : regularizer,
        weight,
        text,
        onCompletions,
      });
    }
    return inStep;
  };
}

/** The regularizer, told that the rows it is given are part of a larger batch than its caller knows. */
function within(regularizer: Regularizer, batch: readonly Datum[]): Regularizer {
  const whole = { totalWeight: totalWeight(batch), batch };
  return {
    name: regularizer.name,
    compute: (data, logprobs, options) => regularizer.compute(data, logprobs, { ...options, ...whole }),
  };
}

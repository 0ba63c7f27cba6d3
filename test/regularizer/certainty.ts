import { type Regularizer, rowsOf, weightedMean } from "../../src/regularizer/index.ts";

/** The mean of Σ p², on the contract itself. */
export const certainty = (): Regularizer => ({
  name: "certainty",
  begin: (batch) => {
    const mean = weightedMean(batch);
    return {
      add: (part, into) => {
        for (const { span, row, logP, gradient } of rowsOf(batch, part, into)) {
          const p = Array.from(logP, Math.exp);
          const value = p.reduce((sum, x) => sum + x * x, 0);
          const share = into.scale * mean.add(span, row, value);
          for (const [i, x] of p.entries()) gradient[i]! += share * 2 * x * (x - value);
        }
      },
      end: () => ({ value: mean.value, metrics: { certainty: mean.value } }),
    };
  },
});

import type { Tensor } from "../tensor.ts";

const DRAWN: unique symbol = /* @__PURE__ */ Symbol("drawn from the model");

/** Log-probabilities that a model gave to tokens it drew itself. Only `drawnFromModel` makes them. */
export interface DrawnFromModel {
  readonly [DRAWN]: true;
  /** [...] one natural log-probability per token. */
  readonly logprobs: Tensor;
}

/**
 * Declares that tokens were drawn from the model itself, at temperature 1 and from its whole vocabulary; takes the
 * log-probabilities that it gives them.
 *
 * Do not declare it of a dataset's tokens. An estimate of KL(model‖reference) is an average over what the model says;
 * averaged over other tokens it is another quantity, which may be negative, and whose gradient pulls elsewhere.
 *
 * @throws RangeError for a token of probability 0, which cannot have been drawn, or above 1.
 * @example drawnFromModel(tensor([-0.1, -2.3], [2]))
 */
export function drawnFromModel(logprobs: Tensor): DrawnFromModel {
  for (const [i, logprob] of logprobs.data.entries()) {
    if (logprob === Number.NEGATIVE_INFINITY || logprob > 1e-3) {
      throw new RangeError(
        `the log-probability of drawn token ${i} is ${logprob}, expected a finite number, at most 0: give the model's own`,
      );
    }
  }
  return { [DRAWN]: true, logprobs };
}

/** @throws TypeError unless `drawnFromModel` made it. */
export function checkDrawn(p: DrawnFromModel): void {
  if (typeof p === "object" && p !== null && DRAWN in p) return;
  throw new TypeError(
    "found tokens that are not marked as drawn from the model: over a dataset's tokens k1, k2 and k3 do not estimate a KL; " +
      "mark the model's own samples with drawnFromModel(logprobs), and for a dataset use klDivergence over the vocabulary or a top-k",
  );
}

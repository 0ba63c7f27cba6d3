/** How far from 1 the probabilities of a row may sum and still be taken for log-probabilities. */
export const NORMALIZATION_TOLERANCE = 1e-3;

/** A row that was given as log-probabilities does not sum to 1. */
export class NotNormalizedError extends RangeError {
  override readonly name = "NotNormalizedError";
  /** Which input: `p`, the model, or `q`, the reference. */
  readonly side: "p" | "q";
  readonly row: number;
  /** What its probabilities sum to. */
  readonly sum: number;

  constructor(side: "p" | "q", row: number, sum: number) {
    super(
      `row ${row} of ${side} sums to ${Number(sum.toPrecision(4))}, expected 1 within 0.001: give log-probabilities of the whole ` +
        'vocabulary, or input: "logits" to have them normalized',
    );
    this.side = side;
    this.row = row;
    this.sum = sum;
  }
}

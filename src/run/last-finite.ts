/**
 * Keeps the weights that a finite loss was last measured with. Whether an update was good only shows in the step after
 * it, so two copies are held: the newest, and the one before it, which has been measured.
 */
export class LastGood {
  readonly #weights: readonly Float32Array[];
  #measured: readonly Float32Array[];
  #newest: readonly Float32Array[];

  /** @param weights what training changes in place. */
  constructor(weights: readonly Float32Array[]) {
    this.#weights = weights;
    this.#measured = weights.map((each) => each.slice());
    this.#newest = weights.map((each) => each.slice());
  }

  /** A step measured the newest copy and found it good, and made an update. */
  updated(): void {
    [this.#measured, this.#newest] = [this.#newest, this.#measured];
    for (const [i, copy] of this.#newest.entries()) copy.set(this.#weights[i]!);
  }

  /** Gives the weights the values that were last measured. */
  restore(): void {
    for (const [i, weights] of this.#weights.entries()) weights.set(this.#measured[i]!);
  }
}

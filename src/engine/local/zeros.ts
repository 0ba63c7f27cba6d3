/** Zeros in memory that is used again: fresh memory costs more than what is computed into it. */
export class ReusedZeros {
  #memory = new Float32Array(0);

  /** Valid until the next call. */
  take(length: number): Float32Array {
    if (this.#memory.length < length) this.#memory = new Float32Array(length);
    return this.#memory.subarray(0, length).fill(0);
  }
}

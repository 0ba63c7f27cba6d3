import { createRandom, randomInteger } from "../../src/common/random.ts";

/** Choices of one case, all of them decided by its seed. */
export class Choices {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = createRandom(seed);
  }
  /** A whole number from 0 to below `n`. */
  below(n: number): number {
    return randomInteger(this.#random, n);
  }
  chance(share: number): boolean {
    return this.#random() < share;
  }
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

import { createRandom } from "../../common/random.ts";
import type { Value } from "../graph/value.ts";
import type { BaseModel } from "./base-model.ts";
import type { Feeds } from "./runtime.ts";

/**
 * Masks for what reaches the A of each linear map: 0 for a share of its numbers, 1 / (1 − share) for the others. A mask
 * depends on nothing but the seed, the update it is for, and the passes since the update before.
 *
 * @see Srivastava et al. 2014, Dropout
 */
export class Dropout {
  readonly #share: number;
  readonly #seed: number;
  readonly #masks: ReadonlyMap<string, Value>;
  readonly #numbers = new Map<string, Float32Array>();
  #step = -1;
  #pass = 0;

  /** @param masks the inputs of the decoder that take them, [tokens, in] each. */
  constructor(share: number, seed: number, masks: ReadonlyMap<string, Value>) {
    this.#share = share;
    this.#seed = seed;
    this.#masks = masks;
  }

  /** Forgets the passes since the last update. */
  restart(): void {
    this.#step = -1;
  }

  /** New masks for a pass of so many tokens; valid until the next ones are asked for. @param steps updates that were made. */
  next({ runtime }: BaseModel, tokens: number, steps: number): Feeds {
    this.#pass = steps === this.#step ? this.#pass + 1 : 0;
    this.#step = steps;
    const random = createRandom((this.#seed * 1_000_003 + steps) * 1_009 + this.#pass);
    const kept = 1 / (1 - this.#share);
    const fed = new Map();
    for (const [name, { shape }] of this.#masks) {
      const width = shape[1] as number;
      let numbers = this.#numbers.get(name);
      if (!numbers || numbers.length < tokens * width) {
        numbers = new Float32Array(tokens * width);
        this.#numbers.set(name, numbers);
      }
      const mask = numbers.subarray(0, tokens * width);
      for (let i = 0; i < mask.length; i++) mask[i] = random() < this.#share ? 0 : kept;
      fed.set(name, runtime.floats(mask, [tokens, width]));
    }
    return fed;
  }
}

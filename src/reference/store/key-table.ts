/**
 * Finds the entries of an index by their keys, in 12 to 24 bytes of memory per entry, however long records are. A candidate
 * may be wrong (one in 4 billion is): compare the whole key, which its entry holds.
 */
export class KeyTable {
  readonly #tags: Uint32Array;
  /** Entry number + 1; 0 where there is none. */
  readonly #entries: Uint32Array;

  constructor(capacity: number) {
    // At least a third of the places stay empty, so that searches end soon.
    const places = 2 ** Math.ceil(Math.log2(1.5 * capacity + 1));
    this.#tags = new Uint32Array(places);
    this.#entries = new Uint32Array(places);
  }

  add(key: Buffer, entry: number): void {
    let place = this.#home(key);
    while (this.#entries[place] !== 0) place = this.#after(place);
    this.#tags[place] = key.readUInt32LE(4);
    this.#entries[place] = entry + 1;
  }

  /** Entries that may have this key, in the order in which they were added. */
  *candidates(key: Buffer): Generator<number> {
    const tag = key.readUInt32LE(4);
    for (let place = this.#home(key); this.#entries[place] !== 0; place = this.#after(place)) {
      if (this.#tags[place] === tag) yield this.#entries[place]! - 1;
    }
  }

  #home(key: Buffer): number {
    return key.readUInt32LE(0) & (this.#entries.length - 1);
  }

  #after(place: number): number {
    return (place + 1) & (this.#entries.length - 1);
  }
}

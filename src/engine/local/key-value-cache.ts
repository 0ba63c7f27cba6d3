import type { ModelConfig } from "../families/model-config.ts";
import type { Feeds, Runtime } from "./runtime.ts";

/** Columns that are added when a cache is full. */
const COLUMNS = 64;

/**
 * Keys and values of sequences that are being drawn, a row each, in memory that graphs read where it lies: new tokens are
 * written behind the others, and nothing else is moved but when it grows.
 */
export class KeyValueCache {
  /** Tokens of each row. */
  readonly lengths: number[] = [];
  /** Columns that a row has. */
  columns = COLUMNS;
  readonly #runtime: Runtime;
  readonly #kvHeads: number;
  readonly #headDim: number;
  /** [rows, kvHeads, columns, headDim] by `0.key`, `0.value`, `1.key`, … */
  readonly #tensors: Map<string, Float32Array>;
  #rows = 0;

  constructor(runtime: Runtime, { layers, kvHeads, headDim }: ModelConfig) {
    this.#runtime = runtime;
    this.#kvHeads = kvHeads;
    this.#headDim = headDim;
    const names = Array.from({ length: layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
    this.#tensors = new Map(names.map((name) => [name, new Float32Array(0)]));
  }

  /** Adds empty rows. */
  add(rows: number): void {
    const all = this.lengths.length + rows;
    for (let i = 0; i < rows; i++) this.lengths.push(0);
    if (all > this.#rows) this.#resize(Math.max(all, Math.min(2 * this.#rows, 64)), this.columns);
  }

  /** Takes a row out; the last one takes its place. */
  remove(row: number): void {
    const last = this.lengths.length - 1;
    const size = this.#kvHeads * this.columns * this.#headDim;
    if (row !== last) {
      for (const tensor of this.#tensors.values()) tensor.copyWithin(row * size, last * size, (last + 1) * size);
      this.lengths[row] = this.lengths[last]!;
    }
    this.lengths.pop();
  }

  /** Makes room for so many tokens in a row. */
  reserve(length: number): void {
    if (length <= this.columns) return;
    this.#resize(this.#rows, Math.ceil(length / COLUMNS) * COLUMNS);
  }

  /** The rows `from` to `to` as `past.*`. */
  feeds(from: number, to: number): Feeds {
    const shape = [to - from, this.#kvHeads, this.columns, this.#headDim];
    const size = this.#kvHeads * this.columns * this.#headDim;
    return new Map(
      [...this.#tensors].map(([name, tensor]) => [
        `past.${name}`,
        this.#runtime.floats(tensor.subarray(from * size, to * size), shape),
      ]),
    );
  }

  /**
   * Writes new keys and values behind those of the rows from `from` on.
   *
   * @param results `now.*`, [rows, kvHeads, length, headDim], of a pass over `length` columns.
   * @param counts how many of the columns are tokens, of each row.
   */
  append(
    results: ReadonlyMap<string, { readonly data: Float32Array }>,
    from: number,
    length: number,
    counts: readonly number[],
  ): void {
    const [heads, width] = [this.#kvHeads, this.#headDim];
    for (const [name, tensor] of this.#tensors) {
      const { data } = results.get(`now.${name}`)!;
      for (const [i, count] of counts.entries()) {
        const before = this.lengths[from + i]!;
        for (let head = 0; head < heads; head++) {
          const source = (i * heads + head) * length * width;
          const target = (((from + i) * heads + head) * this.columns + before) * width;
          tensor.set(data.subarray(source, source + count * width), target);
        }
      }
    }
    for (const [i, count] of counts.entries()) this.lengths[from + i]! += count;
  }

  #resize(rows: number, columns: number): void {
    const [heads, width] = [this.#kvHeads, this.#headDim];
    for (const [name, old] of this.#tensors) {
      const tensor = new Float32Array(rows * heads * columns * width);
      for (const [row, length] of this.lengths.entries()) {
        if (length === 0) continue;
        for (let head = 0; head < heads; head++) {
          const source = (row * heads + head) * this.columns * width;
          tensor.set(old.subarray(source, source + length * width), (row * heads + head) * columns * width);
        }
      }
      this.#tensors.set(name, tensor);
    }
    this.#rows = rows;
    this.columns = columns;
  }
}

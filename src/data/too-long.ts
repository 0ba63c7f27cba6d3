import type { DataLine } from "./files/index.ts";
import type { WeightedTokens } from "./weighted-tokens.ts";

/** What becomes of a line with more tokens than the limit. */
export const TOO_LONG = ["error", "truncate", "drop"] as const;
export type TooLong = (typeof TOO_LONG)[number];

export const DATASET_DEFAULTS = { tooLong: "error" } as const;

/** The most tokens of a line, held to each line of a file, and what that did. */
export class LengthLimit {
  readonly #limit: number;
  readonly #tooLong: TooLong;
  #over = 0;
  #emptied = 0;
  #longest = 0;
  #longestLine = "";

  constructor(limit: number, tooLong: TooLong) {
    this.#limit = limit;
    this.#tooLong = tooLong;
  }

  /**
   * The tokens of a line within the limit: cut at the end if need be. null for a line that is left out, by `drop` or since
   * the cut left nothing to learn.
   *
   * @throws UserError for a line that is too long, with `error`.
   */
  apply(whole: WeightedTokens, { source, fail }: DataLine): WeightedTokens | null {
    const { length } = whole.tokens;
    if (length <= this.#limit) return whole;
    this.#over++;
    if (length > this.#longest) [this.#longest, this.#longestLine] = [length, source];
    if (this.#tooLong === "error") throw fail(`the sequence has ${length} tokens, the limit is ${this.#limit}`);
    if (this.#tooLong === "drop") return null;
    const tokens = whole.tokens.slice(0, this.#limit);
    const weights = whole.weights.slice(0, this.#limit);
    if (weights.slice(1).some((weight) => weight > 0)) return { tokens, weights };
    this.#emptied++;
    return null;
  }

  /** What to do about lines that are refused; empty where none is. */
  get advice(): string {
    if (this.#over === 0) return "";
    const longest =
      this.#over === 1 ? "" : `of the ${this.#over} lines that are too long, the longest has ${this.#longest} tokens: `;
    return `${longest}shorten or split what is too long, or set data.too_long to truncate or drop`;
  }

  /** What became of lines that were too long, of so many of a file; undefined where none was. */
  notice(file: string, lines: number): string | undefined {
    if (this.#over === 0 || this.#tooLong === "error") return undefined;
    const what = this.#tooLong === "drop" ? "left out" : "cut at the end";
    const emptied =
      this.#emptied === 0
        ? ""
        : `; ${this.#emptied} of them had nothing to learn after that and ${was(this.#emptied)} left out`;
    return `${this.#over} of ${lines} lines of ${file} had more than ${this.#limit} tokens (the longest, ${this.#longestLine}, has ${this.#longest}) and ${was(this.#over)} ${what}${emptied}`;
  }
}

function was(count: number): string {
  return count === 1 ? "was" : "were";
}

/**
 * A stretch of a text as it was rewritten, and for each of its UTF-16 units the stretch of the original that it stands
 * for: unit i for the original's characters from `starts[i]` to before `ends[i]`.
 */
export interface Aligned {
  readonly text: string;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** The text itself, each character standing for itself: both halves of a surrogate pair stand for the whole pair. */
export function aligned(text: string): Aligned {
  const starts = new Int32Array(text.length);
  const ends = new Int32Array(text.length);
  for (let i = 0; i < text.length; i++) {
    starts[i] = i;
    ends[i] = i + 1;
    if (characterLength(text, i) === 1) continue;
    ends[i] = i + 2;
    i++;
    starts[i] = i - 1;
    ends[i] = i + 1;
  }
  return { text, starts, ends };
}

/** The units from `from` to before `to`; the alignment is a view, no copy. */
export function cut({ text, starts, ends }: Aligned, from: number, to: number): Aligned {
  if (from === 0 && to === text.length) return { text, starts, ends };
  return { text: text.slice(from, to), starts: starts.subarray(from, to), ends: ends.subarray(from, to) };
}

/** The length of the character at `at` in UTF-16 units. */
export function characterLength(text: string, at: number): 1 | 2 {
  return text.codePointAt(at)! > 0xffff ? 2 : 1;
}

/** Writes an aligned text from left to right. */
export class AlignedWriter {
  readonly #parts: string[] = [];
  #starts: Int32Array;
  #ends: Int32Array;
  #length = 0;

  /** @param length how long the result will about be. */
  constructor(length: number) {
    this.#starts = new Int32Array(length);
    this.#ends = new Int32Array(length);
  }

  /** `text`, all of it standing for the original's characters from `start` to before `end`. */
  write(text: string, start: number, end: number): void {
    this.#parts.push(text);
    const to = this.#grow(text.length);
    this.#starts.fill(start, to - text.length, to);
    this.#ends.fill(end, to - text.length, to);
  }

  /** The units of `source` from `from` to before `to`, as they are. */
  copy({ text, starts, ends }: Aligned, from: number, to: number): void {
    if (from === to) return;
    this.#parts.push(text.slice(from, to));
    const begin = this.#grow(to - from) - (to - from);
    this.#starts.set(starts.subarray(from, to), begin);
    this.#ends.set(ends.subarray(from, to), begin);
  }

  result(): Aligned {
    const length = this.#length;
    return {
      text: this.#parts.join(""),
      starts: this.#starts.subarray(0, length),
      ends: this.#ends.subarray(0, length),
    };
  }

  #grow(by: number): number {
    this.#length += by;
    if (this.#length > this.#starts.length) {
      const grown = (old: Int32Array) => {
        const wide = new Int32Array(2 * this.#length);
        wide.set(old);
        return wide;
      };
      this.#starts = grown(this.#starts);
      this.#ends = grown(this.#ends);
    }
    return this.#length;
  }
}

/** `text` before `source`; it stands for what the first character of `source` stands for. Nothing goes before nothing. */
export function prepend(text: string, source: Aligned): Aligned {
  if (source.text === "") return source;
  const writer = new AlignedWriter(text.length + source.text.length);
  writer.write(text, source.starts[0]!, source.ends[0]!);
  writer.copy(source, 0, source.text.length);
  return writer.result();
}

/** Every match of `pattern` (global) replaced by `content`, which stands for all that the match stood for. */
export function replaceAll(source: Aligned, pattern: RegExp, content: string): Aligned {
  const writer = new AlignedWriter(source.text.length);
  let done = 0;
  for (const { 0: match, index } of source.text.matchAll(pattern)) {
    if (match === "") continue;
    writer.copy(source, done, index);
    done = index + match.length;
    writer.write(content, source.starts[index]!, source.ends[done - 1]!);
  }
  if (done === 0) return source;
  writer.copy(source, done, source.text.length);
  return writer.result();
}

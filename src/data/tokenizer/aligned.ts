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
  for (let i = 0; i < text.length; ) {
    const next = i + characterLength(text, i);
    starts.fill(i, i, next);
    ends.fill(next, i, next);
    i = next;
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
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** `text`, all of it standing for the original's characters from `start` to before `end`. */
  write(text: string, start: number, end: number): void {
    this.#parts.push(text);
    for (let i = 0; i < text.length; i++) {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  /** The units of `source` from `from` to before `to`, as they are. */
  copy(source: Aligned, from: number, to: number): void {
    this.#parts.push(source.text.slice(from, to));
    for (let i = from; i < to; i++) {
      this.#starts.push(source.starts[i]!);
      this.#ends.push(source.ends[i]!);
    }
  }

  result(): Aligned {
    return { text: this.#parts.join(""), starts: Int32Array.from(this.#starts), ends: Int32Array.from(this.#ends) };
  }
}

/** `text` before `source`; it stands for what the first character of `source` stands for. Nothing goes before nothing. */
export function prepend(text: string, source: Aligned): Aligned {
  if (source.text === "") return source;
  const writer = new AlignedWriter();
  writer.write(text, source.starts[0]!, source.ends[0]!);
  writer.copy(source, 0, source.text.length);
  return writer.result();
}

/** Every match of `pattern` (global) replaced by `content`, which stands for all that the match stood for. */
export function replaceAll(source: Aligned, pattern: RegExp, content: string): Aligned {
  const writer = new AlignedWriter();
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

/** Byte-level byte-pair encoding, trained: the most frequent pair of neighbours becomes a token, again and again. */

/** GPT-2's printable stand-in for each byte. */
export const byteSymbols: readonly string[] = (() => {
  const printable = (b: number): boolean => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
})();

/**
 * Words, digits and runs of signs, each with the space before it; the rest of the white space apart. A piece never holds
 * a digit and anything but its space, so numbers are read digit by digit, and never ends in a space, so a text can be cut
 * before one without changing its tokens.
 */
export const piecePattern = " ?\\p{N}| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const piece = new RegExp(piecePattern, "gu");

export interface Bpe {
  readonly vocabulary: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
}

interface Word {
  symbols: string[];
  count: number;
}

const pairKey = (a: string, b: string): string => `${a} ${b}`;

function countPairs(words: readonly Word[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { symbols, count } of words) {
    for (let i = 1; i < symbols.length; i++) {
      const key = pairKey(symbols[i - 1], symbols[i]);
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  return counts;
}

/** Ties go to the pair that sorts first, so that the same text gives the same tokenizer everywhere. */
function mostFrequent(counts: ReadonlyMap<string, number>): string {
  let best = "";
  let most = 0;
  for (const [key, count] of counts) {
    if (count > most || (count === most && key < best)) [best, most] = [key, count];
  }
  if (most === 0) throw new Error("the text is too small for this vocabulary");
  return best;
}

function merge(symbols: readonly string[], left: string, right: string): string[] {
  const out: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const joined = symbols[i] === left && symbols[i + 1] === right;
    out.push(joined ? left + right : symbols[i]);
    if (joined) i++;
  }
  return out;
}

/** A vocabulary of `size`: the special tokens, the 256 bytes, and merges. */
export function trainBpe(texts: Iterable<string>, size: number, special: readonly string[]): Bpe {
  const counts = new Map<string, number>();
  for (const text of texts) for (const [p] of text.matchAll(piece)) counts.set(p, (counts.get(p) ?? 0) + 1);
  const words = [...counts].map(([text, count]) => ({
    symbols: Array.from(Buffer.from(text, "utf8"), (byte) => byteSymbols[byte]),
    count,
  }));
  const vocabulary = [...special, ...byteSymbols];
  const merges: [string, string][] = [];
  while (vocabulary.length < size) {
    const [left, right] = mostFrequent(countPairs(words)).split(" ");
    for (const word of words) word.symbols = merge(word.symbols, left, right);
    merges.push([left, right]);
    vocabulary.push(left + right);
  }
  return { vocabulary, merges };
}

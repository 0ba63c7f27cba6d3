import type { Aligned } from "./aligned.ts";

/** GPT-2's alphabet: a printable character for each byte, the bytes that are printable in Latin-1 as they are. */
const CHARACTERS = alphabet();
const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));
const encoder = new TextEncoder();

/** Each byte of the text in UTF-8 as a character, which stands for what the byte's character stands for. */
export function toByteCharacters(source: Aligned): Aligned {
  const { text } = source;
  // A stretch of printable ASCII is itself.
  if (/^[!-~]*$/.test(text)) return source;
  const bytes = encoder.encode(text);
  const starts = new Int32Array(bytes.length);
  const ends = new Int32Array(bytes.length);
  let characters = "";
  let unit = -1;
  for (const [i, byte] of bytes.entries()) {
    characters += CHARACTERS[byte]!;
    // A character of four bytes is a pair of units, which have one alignment.
    if (byte < 0x80 || byte >= 0xc0) unit += i > 0 && text.codePointAt(unit)! > 0xffff ? 2 : 1;
    starts[i] = source.starts[unit]!;
    ends[i] = source.ends[unit]!;
  }
  return { text: characters, starts, ends };
}

/** The bytes that a token of such characters stands for; null for one that holds another character. */
export function fromByteCharacters(token: string): number[] | null {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = BYTES.get(character);
    if (byte === undefined) return null;
    bytes.push(byte);
  }
  return bytes;
}

function alphabet(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let others = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : others++));
}

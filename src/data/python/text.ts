/** @file Text as Python sees it: a sequence of code points, with Python's white space and line ends. */

const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LEADING = new RegExp(`^[${SPACE}]+`);
const ALL_SPACE = new RegExp(`^[${SPACE}]+$`);
const SPACES = new RegExp(`[${SPACE}]+`, "g");
const LINE_END = "\\r\\n|[\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029]";
const LINE_ENDS = new RegExp(LINE_END, "g");
const SPACE_CHARACTER = new RegExp(`[${SPACE}]`);

const isAstral = (text: string) => /[\ud800-\udfff]/.test(text);

/** The characters, one string a code point. */
export function characters(text: string): readonly string[] {
  return isAstral(text) ? Array.from(text) : text.split("");
}

export function codePointLength(text: string): number {
  return isAstral(text) ? Array.from(text).length : text.length;
}

/** The code points before an index of UTF-16 units. */
export function codePointsBefore(text: string, index: number): number {
  return codePointLength(text.slice(0, index));
}

export function isSpace(text: string): boolean {
  return ALL_SPACE.test(text);
}

export function leftStrip(text: string, chars: string | null = null): string {
  if (chars === null) return text.replace(LEADING, "");
  const set = new Set(chars);
  let start = 0;
  for (const character of text) {
    if (!set.has(character)) break;
    start += character.length;
  }
  return text.slice(start);
}

export function rightStrip(text: string, chars: string | null = null): string {
  const set = chars === null ? null : new Set(chars);
  let end = text.length;
  while (end > 0) {
    const unit = text.charCodeAt(end - 1);
    const width = unit >= 0xdc00 && unit <= 0xdfff && end > 1 ? 2 : 1;
    const character = text.slice(end - width, end);
    if (set === null ? !SPACE_CHARACTER.test(character) : !set.has(character)) break;
    end -= width;
  }
  return text.slice(0, end);
}

export function strip(text: string, chars: string | null = null): string {
  return leftStrip(rightStrip(text, chars), chars);
}

/** The words between white space, of which at most `limit` borders are cut at (all, when negative). */
export function splitSpaces(text: string, limit: number): string[] {
  const rest = leftStrip(text);
  if (limit < 0) return rightStrip(rest) === "" ? [] : rightStrip(rest).split(SPACES);
  const words: string[] = [];
  let from = 0;
  for (const match of rest.matchAll(SPACES)) {
    if (words.length === limit) break;
    words.push(rest.slice(from, match.index));
    from = match.index + match[0].length;
  }
  if (from < rest.length) words.push(rest.slice(from));
  return words;
}

export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines: string[] = [];
  let from = 0;
  for (const match of text.matchAll(LINE_ENDS)) {
    const end = match.index + match[0].length;
    lines.push(text.slice(from, keepEnds ? end : match.index));
    from = end;
  }
  if (from < text.length) lines.push(text.slice(from));
  return lines;
}

/** The title case of a character: that of DŽ is Dž, that of ß is Ss. */
function titleCharacter(character: string): string {
  const digraph = "ǄǅǆǇǈǉǊǋǌǱǲǳ".indexOf(character);
  if (digraph >= 0) return "ǅǈǋǲ"[Math.floor(digraph / 3)]!;
  const [first, ...rest] = Array.from(character.toUpperCase());
  return (first ?? "") + rest.join("").toLowerCase();
}

export function capitalize(text: string): string {
  const [first, ...rest] = Array.from(text);
  return first === undefined ? "" : titleCharacter(first) + rest.join("").toLowerCase();
}

/** `str.title`: a letter after anything but a cased letter is in title case, all others in lower case. */
export function title(text: string): string {
  let afterCased = false;
  let written = "";
  for (const character of text) {
    written += afterCased ? character.toLowerCase() : titleCharacter(character);
    afterCased = /\p{Cased}/u.test(character);
  }
  return written;
}

/** Before, equal to or after, by code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  if (!isAstral(a) && !isAstral(b)) return a < b ? -1 : 1;
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

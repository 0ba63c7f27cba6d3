import { TemplateSyntaxError } from "./syntax-error.ts";

/** The value of a string literal's inside, with the escapes of Python. */
export function unescapeLiteral(source: string): string {
  return source.replace(ESCAPE, (whole, hex?: string, octal?: string, character?: string) => {
    if (hex !== undefined) {
      const point = Number.parseInt(hex.slice(1), 16);
      if (point > 0x10ffff) throw new TemplateSyntaxError(`the escape ${whole} is no Unicode character`);
      return String.fromCodePoint(point);
    }
    if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
    if (character === "x" || character === "u" || character === "U" || character === "N") {
      throw new TemplateSyntaxError(`the escape ${whole} in a text is cut off, or names a character`);
    }
    return SHORT[character!] ?? whole;
  });
}

const ESCAPE = /\\(?:(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g;
const SHORT: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

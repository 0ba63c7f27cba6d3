import { isSpace } from "./text.ts";

const every = (pattern: RegExp) => (text: string) => pattern.test(text);
const hasCased = (text: string) => /\p{Cased}/u.test(text);

/** The methods of `str` that ask what its characters are. */
export const characterTests: Readonly<Record<string, (text: string) => boolean>> = {
  isalnum: every(/^[\p{L}\p{N}]+$/u),
  isalpha: every(/^\p{L}+$/u),
  isascii: (text) => [...text].every((character) => character.codePointAt(0)! < 128),
  isdecimal: every(/^\p{Nd}+$/u),
  isdigit: every(/^[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐⓪⓵-⓽⓿❶-❾➀-➈➊-➒]+$/u),
  isidentifier: every(/^[\p{ID_Start}_][\p{ID_Continue}]*$/u),
  islower: (text) => hasCased(text) && !/[\p{Lu}\p{Lt}]/u.test(text),
  isnumeric: every(/^\p{N}+$/u),
  isprintable: (text) => !/[\p{C}\p{Z}]/u.test(text.replaceAll(" ", "")),
  isspace: isSpace,
  istitle: (text) => hasCased(text) && !/\p{Cased}[\p{Lu}\p{Lt}]|(?<!\p{Cased})\p{Ll}/u.test(text),
  isupper: (text) => hasCased(text) && !/[\p{Ll}\p{Lt}]/u.test(text),
};

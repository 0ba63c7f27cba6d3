import type { Pipeline } from "./pipeline.ts";

/** Characters whose bytes in UTF-8 are all that UTF-8 has: the controls and letters of ASCII, one for each first byte, and each last. */
const PROBES = [
  ...Array.from({ length: 0x80 }, (_, code) => code),
  ...Array.from({ length: 30 }, (_, first) => 0x80 + 0x40 * first),
  ...Array.from({ length: 0x40 }, (_, last) => 0x80 + last),
  ...Array.from({ length: 16 }, (_, first) => Math.max(0x800, 0x1000 * first)),
  ...Array.from({ length: 5 }, (_, first) => Math.max(0x10000, 0x40000 * first)),
].map((code) => String.fromCodePoint(code));

/**
 * What a user should know of a vocabulary that cannot spell every text: byte tokens are missing, or there are none. Such
 * texts are refused where they are met, and not learned as the unknown token.
 */
export function spellingNotice(tokenize: Pipeline["tokenize"]): string[] {
  // Together they are asked once; only where that fails is each.
  if (tokenize(PROBES.join(" ")).unknown === null) return [];
  const missing = PROBES.filter((character) => tokenize(character).unknown !== null);
  const shown = (missing.find((character) => /\p{L}/u.test(character)) ?? missing[0])!;
  const code = shown.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return [
    `the tokenizer cannot spell every text, such as ${JSON.stringify(shown)} (U+${code}), for which it has no token: lines that hold such characters are refused, not learned as its unknown token`,
  ];
}

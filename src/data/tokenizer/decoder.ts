import { byteOf } from "./byte-fallback.ts";
import { fromByteCharacters } from "./byte-level.ts";
import { notSupported } from "./not-supported.ts";
import { type PatternDefinition, toRegExp } from "./pattern.ts";

/** One step of tokenizer.json's `decoder`. */
export type DecoderDefinition =
  | { readonly type: "Sequence"; readonly decoders: readonly DecoderDefinition[] }
  | { readonly type: "ByteLevel" | "ByteFallback" | "Fuse" }
  | { readonly type: "Replace"; readonly pattern: PatternDefinition; readonly content: string }
  | { readonly type: "Strip"; readonly content: string; readonly start: number; readonly stop: number }
  | {
      readonly type: "Metaspace";
      readonly replacement?: string;
      readonly prepend_scheme?: "always" | "first" | "never";
      readonly add_prefix_space?: boolean;
    };

/** Turns the texts of tokens into pieces of the text they stand for. */
export type Decode = (tokens: readonly string[]) => string[];

const SUPPORTED = ["Sequence", "ByteLevel", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace"];
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** What tokens say, as `tokenizers` reads it: nothing is cleaned up, and a byte order mark stays. */
export function decoder(definition: DecoderDefinition | null | undefined): Decode {
  if (definition == null) return (tokens) => [tokens.join(" ")];
  switch (definition.type) {
    case "Sequence": {
      const steps = definition.decoders.map(decoder);
      return (tokens) => steps.reduce<readonly string[]>((pieces, step) => step(pieces), tokens) as string[];
    }
    case "ByteLevel":
      return (tokens) => [utf8.decode(Uint8Array.from(tokens.flatMap(bytesOfToken)))];
    case "ByteFallback":
      return byteFallback;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Replace": {
      const pattern = toRegExp(definition.pattern);
      return (tokens) => tokens.map((token) => token.replace(pattern, () => definition.content));
    }
    case "Strip":
      return (tokens) => tokens.map((token) => strip(token, definition.content, definition.start, definition.stop));
    case "Metaspace": {
      const { replacement = "▁" } = definition;
      const scheme = definition.prepend_scheme ?? (definition.add_prefix_space === false ? "never" : "always");
      return (tokens) =>
        tokens.map((token, i) => token.replaceAll(replacement, i === 0 && scheme !== "never" ? "" : " "));
    }
    default:
      throw notSupported(`the decoder ${(definition as { type: string }).type}`, SUPPORTED);
  }
}

/** An added token may hold characters that stand for no byte: it is meant as it is written. */
function bytesOfToken(token: string): number[] {
  return fromByteCharacters(token) ?? [...new TextEncoder().encode(token)];
}

/** Runs of `<0xNN>` as the text that they spell; a run that spells none gives one U+FFFD a byte. */
function byteFallback(tokens: readonly string[]): string[] {
  const pieces: string[] = [];
  let run: number[] = [];
  const flush = () => {
    if (run.length === 0) return;
    try {
      pieces.push(strict.decode(Uint8Array.from(run)));
    } catch {
      pieces.push("\ufffd".repeat(run.length));
    }
    run = [];
  };
  for (const token of tokens) {
    const byte = byteOf(token);
    if (byte !== null) run.push(byte);
    else {
      flush();
      pieces.push(token);
    }
  }
  flush();
  return pieces;
}

function strip(token: string, content: string, start: number, stop: number): string {
  let from = 0;
  while (from < start && token[from] === content) from++;
  let to = token.length;
  while (to > from && token.length - to < stop && token[to - 1] === content) to--;
  return token.slice(from, to);
}

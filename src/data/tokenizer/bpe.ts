import { bytesOf } from "./byte-fallback.ts";
import { BPE } from "./library.ts";
import type { TakeToken, TokenModel } from "./model.ts";
import { notSupported } from "./not-supported.ts";

export interface BpeDefinition {
  readonly type?: "BPE";
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
  readonly byte_fallback?: boolean;
  readonly ignore_merges?: boolean;
  readonly fuse_unk?: boolean;
  readonly dropout?: number | null;
  readonly continuing_subword_prefix?: string | null;
  readonly end_of_word_suffix?: string | null;
}

/** Byte-pair encoding: the library's merges, with what of the word each token holds. */
export function bpe(definition: BpeDefinition): TokenModel {
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] as const) {
    if (definition[key]) throw notSupported(`BPE with ${key}`, ["BPE without it"]);
  }
  const { ignore_merges = false, byte_fallback = false } = definition;
  const merger = new BPE(definition);
  const vocabulary = merger.tokens_to_ids;

  const tokenize = (word: string, take: TakeToken): void => {
    const whole = ignore_merges ? vocabulary.get(word) : undefined;
    if (whole !== undefined) {
      take(whole, 0, word.length);
      return;
    }
    let from = 0;
    for (const piece of merger.bpe(word)) {
      const to = from + piece.length;
      const id = vocabulary.get(piece);
      const bytes = id === undefined && byte_fallback ? bytesOf(piece, vocabulary) : null;
      if (bytes === null) take(id ?? null, from, to);
      else for (const byte of bytes) take(byte, from, to);
      from = to;
    }
  };
  return { vocabulary, tokenize };
}

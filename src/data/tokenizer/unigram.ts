import { characterLength } from "./aligned.ts";
import { bytesOf } from "./byte-fallback.ts";
import { Unigram } from "./library.ts";
import type { TakeToken, TokenModel } from "./model.ts";

export interface UnigramDefinition {
  readonly type: "Unigram";
  readonly vocab: readonly (readonly [piece: string, score: number])[];
  readonly unk_id?: number | null;
  readonly byte_fallback?: boolean;
}

/** How much less likely than the least likely token a character is that has none. */
const UNKNOWN_PENALTY = 10;

/**
 * The likeliest segmentation of a word (Viterbi over the library's trie). The library's own loses byte fallback, and
 * copies its lattice at each step.
 */
export function unigram(definition: UnigramDefinition): TokenModel {
  const { vocab, byte_fallback = false } = definition;
  const vocabulary = new Map(vocab.map(([piece], id) => [piece, id]));
  const scores = Float64Array.from(vocab, ([, score]) => score);
  const unknownScore =
    scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY;
  const { trie } = new Unigram(definition, "");

  /** For each place of the word where a token can end: where the best last token begins, and its id (-1: none has it). */
  const bestPath = (word: string) => {
    const begin = new Int32Array(word.length + 1).fill(-1);
    const ids = new Int32Array(word.length + 1).fill(-1);
    const total = new Float64Array(word.length + 1);
    const offer = (from: number, to: number, id: number, score: number) => {
      const candidate = total[from]! + score;
      if (begin[to] !== -1 && candidate <= total[to]!) return;
      begin[to] = from;
      ids[to] = id;
      total[to] = candidate;
    };
    for (let from = 0; from < word.length; ) {
      const single = from + characterLength(word, from);
      let hasSingle = false;
      let node = trie.root;
      for (let to = from; to < word.length; ) {
        const length = characterLength(word, to);
        const next = node.children.get(word.slice(to, to + length));
        if (next === undefined) break;
        node = next;
        to += length;
        if (!node.is_leaf) continue;
        const id = vocabulary.get(word.slice(from, to))!;
        offer(from, to, id, scores[id]!);
        hasSingle ||= to === single;
      }
      if (!hasSingle) offer(from, single, -1, unknownScore);
      from = single;
    }
    return { begin, ids };
  };

  const tokenize = (word: string, take: TakeToken): void => {
    const { begin, ids } = bestPath(word);
    const ends: number[] = [];
    for (let to = word.length; to > 0; to = begin[to]!) ends.push(to);
    for (const to of ends.reverse()) {
      const from = begin[to]!;
      const bytes = ids[to] === -1 && byte_fallback ? bytesOf(word.slice(from, to), vocabulary) : null;
      if (bytes === null) take(ids[to] === -1 ? null : ids[to]!, from, to);
      else for (const byte of bytes) take(byte, from, to);
    }
  };
  return { vocabulary, tokenize };
}

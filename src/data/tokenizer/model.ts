import type { Aligned } from "./aligned.ts";
import { type BpeDefinition, bpe } from "./bpe.ts";
import { notSupported } from "./not-supported.ts";
import { type UnigramDefinition, unigram } from "./unigram.ts";

/** tokenizer.json's `model`. */
export type ModelDefinition = BpeDefinition | UnigramDefinition;

/** Takes a token of a word: its id, null where the vocabulary has none, and the units of the word it holds, [from, to). */
export type TakeToken = (id: number | null, from: number, to: number) => void;

/** What turns a word into tokens. */
export interface TokenModel {
  /** The model's own vocabulary: each token and its id. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly tokenize: (word: Aligned["text"], take: TakeToken) => void;
}

export function tokenModel(definition: ModelDefinition): TokenModel {
  const type = definition.type ?? ("merges" in definition ? "BPE" : undefined);
  if (type === "BPE") return bpe(definition as BpeDefinition);
  if (type === "Unigram") return unigram(definition as UnigramDefinition);
  throw notSupported(`a model of type ${String(type)}`, ["BPE", "Unigram"]);
}

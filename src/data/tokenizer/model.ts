/** Takes a token of a word: its id, null where the vocabulary has none, and the units of the word it holds, [from, to). */
export type TakeToken = (id: number | null, from: number, to: number) => void;

/** What turns a word into tokens. */
export interface TokenModel {
  /** The model's own vocabulary: each token and its id. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly tokenize: (word: string, take: TakeToken) => void;
}

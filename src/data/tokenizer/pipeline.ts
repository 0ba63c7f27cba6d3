import { type AddedToken, addedTokenSplitter } from "./added-tokens.ts";
import { type Aligned, aligned, cut } from "./aligned.ts";
import { type DecoderDefinition, decoder } from "./decoder.ts";
import { type ModelDefinition, tokenModel } from "./models.ts";
import { type NormalizerDefinition, normalizer } from "./normalizer.ts";
import { type PreTokenizerDefinition, preTokenizer } from "./pre-tokenizer.ts";
import type { PostProcessorDefinition } from "./surrounding.ts";

/** What tokenizer.json says. */
export interface TokenizerDefinition {
  readonly added_tokens?: readonly AddedToken[];
  readonly normalizer?: NormalizerDefinition | null;
  readonly pre_tokenizer?: PreTokenizerDefinition | null;
  readonly post_processor?: PostProcessorDefinition | null;
  readonly decoder?: DecoderDefinition | null;
  readonly model: ModelDefinition;
}

/** The tokens of a text, and for each the characters that it holds something of, in UTF-16 units of the text, [start, end). */
export interface TokenSpans {
  readonly ids: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** The first characters that the vocabulary has no token for; null where it has one for all. */
  readonly unknown: { readonly start: number; readonly end: number } | null;
}

/** Text to tokens and back, without the special tokens around a text. */
export interface Pipeline {
  /** Every token and its id, the added ones included. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
  tokenize(text: string): TokenSpans;
  /** The text of tokens; ids that no token has say nothing. */
  decode(ids: readonly number[]): string;
}

/**
 * The stages of Python's `tokenizers` on text that knows where it came from: added tokens, normalizer, added tokens of
 * normalized text, pre-tokenizer, model. The library gives patterns, merges and tries; its own pipeline gives no
 * offsets, and has other ids for runs of spaces, byte fallback and added tokens.
 *
 * @param declare the added tokens in force, of those in `definition` and the model's vocabulary.
 */
export function pipeline(
  definition: TokenizerDefinition,
  declare: (added: readonly AddedToken[], vocabulary: ReadonlyMap<string, number>) => readonly AddedToken[] = (added) =>
    added,
): Pipeline {
  const normalize = normalizer(definition.normalizer);
  const words = preTokenizer(definition.pre_tokenizer);
  const model = tokenModel(definition.model);
  const decode = decoder(definition.decoder);
  // What the model's vocabulary has, keeps its id there, whatever the file says.
  const added = declare(definition.added_tokens ?? [], model.vocabulary).map((token) => ({
    ...token,
    id: model.vocabulary.get(token.content) ?? token.id,
  }));
  const isNormalized = ({ normalized, special }: AddedToken) => normalized ?? !special;
  const normalContent = ({ content }: AddedToken) => normalize(aligned(content)).text;
  const sections = addedTokenSplitter(added.filter((token) => !isNormalized(token)));
  const normalizedSections = addedTokenSplitter(added.filter(isNormalized), normalContent);
  const vocabulary = new Map(model.vocabulary);
  const texts: string[] = [];
  for (const [token, id] of model.vocabulary) texts[id] = token;
  for (const token of added) {
    vocabulary.set(token.content, token.id);
    texts[token.id] = isNormalized(token) ? normalContent(token) : token.content;
  }

  const tokenize = (text: string): TokenSpans => {
    const ids: number[] = [];
    const starts: number[] = [];
    const ends: number[] = [];
    let unknown: TokenSpans["unknown"] = null;
    const put = (id: number, start: number, end: number) => {
      ids.push(id);
      starts.push(start);
      ends.push(end);
    };
    const word = (part: Aligned) => {
      model.tokenize(part.text, (id, from, to) => {
        const [start, end] = [part.starts[from]!, part.ends[to - 1]!];
        if (id === null) unknown ??= { start, end };
        else put(id, start, end);
      });
    };
    const whole = aligned(text);
    for (const { token, from, to } of sections(text)) {
      if (token !== null) {
        put(token.id, from, to);
        continue;
      }
      const normal = normalize(cut(whole, from, to));
      for (const section of normalizedSections(normal.text)) {
        const part = cut(normal, section.from, section.to);
        if (section.token !== null) put(section.token.id, part.starts[0]!, part.ends.at(-1)!);
        else for (const each of words(part)) word(each);
      }
    }
    return { ids, starts, ends, unknown };
  };
  return {
    vocabulary,
    added,
    tokenize,
    decode: (ids) => decode(ids.map((id) => texts[id]).filter((text) => text !== undefined)).join(""),
  };
}

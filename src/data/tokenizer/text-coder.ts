import { UserError } from "../../common/errors.ts";
import type { Pipeline } from "./pipeline.ts";
import { type Surrounding, stillMissing } from "./surrounding.ts";

export interface EncodeOptions {
  /** Adds the special tokens that the tokenizer puts around a text, where it does not begin or end with them already. */
  readonly specialTokens?: boolean;
}

/** Token i holds something of the UTF-16 units from `starts[i]` to before `ends[i]`; nothing where a special token was added. */
export interface EncodedSpans {
  readonly ids: Int32Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Text to tokens and back, as `Tokenizer` has it. */
export interface TextCoder {
  encode(text: string, options?: EncodeOptions): Int32Array;
  encodeSpans(text: string, options?: EncodeOptions): EncodedSpans;
  decode(tokens: ArrayLike<number>, options?: { readonly specialTokens?: boolean }): string;
}

/** @param special the ids that decoding leaves out unless asked. */
export function textCoder(
  folder: string,
  stages: Pipeline,
  around: Surrounding,
  special: ReadonlySet<number>,
): TextCoder {
  const encodeSpans = (text: string, { specialTokens = false }: EncodeOptions = {}): EncodedSpans => {
    refuseHalfPairs(text);
    const { ids, starts, ends, unknown } = stages.tokenize(text);
    if (unknown !== null) throw unknownCharacters(text.slice(unknown.start, unknown.end), folder);
    const { before, after } = specialTokens ? stillMissing(around, ids) : NOTHING;
    const length = before.length + ids.length + after.length;
    const framed = (first: readonly number[], inner: readonly number[], last: readonly number[]) => {
      const all = new Int32Array(length);
      all.set(first);
      all.set(inner, first.length);
      all.set(last, first.length + inner.length);
      return all;
    };
    const [start, end] = [before.map(() => 0), after.map(() => text.length)];
    return { ids: framed(before, ids, after), starts: framed(start, starts, end), ends: framed(start, ends, end) };
  };
  return {
    encodeSpans,
    encode: (text, options) => encodeSpans(text, options).ids,
    decode(tokens, { specialTokens = false } = {}) {
      const ids = Array.from(tokens);
      return stages.decode(specialTokens ? ids : ids.filter((id) => !special.has(id)));
    },
  };
}

const NOTHING: Surrounding = { before: [], after: [] };

function unknownCharacters(characters: string, folder: string): UserError {
  const codes = Array.from(characters, (one) => `U+${one.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`);
  return new UserError(
    `the tokenizer in ${folder} has no token for ${JSON.stringify(characters)} (${codes.join(" ")}), and the model would see nothing or its unknown token in its place: take such characters out, or use a model whose tokenizer has tokens for all bytes`,
  );
}

function refuseHalfPairs(text: string): void {
  const at = text.search(/\p{Surrogate}/u);
  if (at === -1) return;
  const code = text.charCodeAt(at).toString(16);
  throw new UserError(
    `the text has \\u${code}, half of a surrogate pair, at character ${at}: no such character can be tokenized; write the pair, or take it out`,
  );
}

import { UserError } from "../common/errors.ts";
import { shortJson } from "../data/short-json.ts";
import type { Tokenizer } from "../data/tokenizer.ts";

/**
 * The ids of `exclude_tokens`, where a text stands for the one token that it is.
 *
 * @param name of the regularizer, for messages.
 * @throws UserError for a text of several tokens, and for an id that no text can hold: leaving it out would change nothing,
 * and not say so.
 */
export function excludedTokens(
  written: readonly (number | string)[],
  name: string,
  { tokenizer, vocabSize }: { readonly tokenizer: Tokenizer; readonly vocabSize: number },
): number[] {
  return written.map((token) => {
    if (typeof token === "string") return idOf(token, name, tokenizer);
    if (token < vocabSize) return token;
    throw new UserError(
      `the regularizer ${name} excludes token ${token}, the model's vocabulary has ${vocabSize}: give ids below that in exclude_tokens`,
    );
  });
}

function idOf(text: string, name: string, tokenizer: Tokenizer): number {
  const ids = Array.from(tokenizer.encode(text));
  const [id] = ids;
  if (ids.length === 1 && id !== undefined) return id;
  const parts = ids.map((each) => `${shortJson(tokenizer.decode([each], { specialTokens: true }))} (${each})`);
  throw new UserError(
    `the regularizer ${name} excludes ${shortJson(text)}, which is ${ids.length} tokens here, ${parts.join(", ")}: give texts of one token, or ids, in exclude_tokens`,
  );
}

import type { AddedToken } from "./added-tokens.ts";
import type { Json } from "./model-folder.ts";

/**
 * The added tokens of tokenizer.json as `transformers` changes them: what tokenizer_config.json declares in
 * `added_tokens_decoder` has the last word on how a token is found, and a token that only it declares is appended.
 *
 * @param vocabulary the model's own.
 */
export function declaredTokens(
  added: readonly AddedToken[],
  settings: Json,
  vocabulary: ReadonlyMap<string, number>,
): AddedToken[] {
  const byContent = new Map(added.map((token) => [token.content, token]));
  const declared = Object.entries((settings.added_tokens_decoder ?? {}) as Record<string, Partial<AddedToken> | null>);
  let next = added.reduce((least, { id }) => Math.max(least, id + 1), vocabulary.size);
  for (const [, token] of declared.sort(([a], [b]) => Number(a) - Number(b))) {
    if (typeof token?.content !== "string" || token.content === "") continue;
    const id = byContent.get(token.content)?.id ?? vocabulary.get(token.content) ?? next++;
    byContent.set(token.content, { ...(token as AddedToken), id });
  }
  return [...byContent.values()];
}

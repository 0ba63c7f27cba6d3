import { UserError } from "../../common/errors.ts";
import { shortJson } from "../short-json.ts";

/** Ids may lie so far beyond the number of tokens: rows of a vocabulary that are kept for tokens to come. */
const MOST_UNUSED = 65_536;

/**
 * Refuses tokens whose texts are none, and ids that are no whole numbers near the vocabulary: tables are made as long as the
 * highest.
 *
 * @throws UserError naming the token.
 */
export function checkTokens(definition: object): void {
  const { model, added_tokens = [] } = definition as { readonly model: unknown; readonly added_tokens?: unknown };
  const { vocab } = model as { readonly vocab?: unknown };
  if (typeof vocab !== "object" || vocab === null) throw new UserError("its model has no `vocab`");
  if (!Array.isArray(added_tokens)) throw new UserError("its `added_tokens` are no list");
  const size = Object.keys(vocab).length;
  const most = size + added_tokens.length + MOST_UNUSED - 1;
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) <= most;
  const expected = `expected a whole number from 0 to ${most}, near its ${size} tokens`;
  if (!Array.isArray(vocab)) {
    for (const [token, id] of Object.entries(vocab)) {
      if (!isId(id)) throw new UserError(`its token ${shortJson(token)} has the id ${shortJson(id)}, ${expected}`);
    }
  }
  for (const token of added_tokens as readonly unknown[]) {
    const { content, id } = (token ?? {}) as { readonly content?: unknown; readonly id?: unknown };
    if (typeof content !== "string")
      throw new UserError(`an entry of its \`added_tokens\` has no text: ${shortJson(token)}`);
    if (!isId(id))
      throw new UserError(`its added token ${shortJson(content)} has the id ${shortJson(id)}, ${expected}`);
  }
}

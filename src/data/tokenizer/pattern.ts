import { UserError } from "../../common/errors.ts";
import { SplitPreTokenizer } from "./library.ts";
import { asSeenByOniguruma } from "./oniguruma.ts";

/** A pattern as tokenizer.json writes one: a regular expression of Oniguruma, or a text to find as it is. */
export interface PatternDefinition {
  readonly String?: string;
  readonly Regex?: string;
}

/** The stretches that a pattern finds in a text, as [from, to), in order; none is empty. */
export type FindMatches = (text: string) => (readonly [number, number])[];

/** @throws UserError for a regular expression that JavaScript cannot do. */
export function compilePattern(definition: PatternDefinition): FindMatches {
  const pattern = toRegExp(definition);
  return (text) => {
    const found: (readonly [number, number])[] = [];
    for (const { 0: match, index } of asSeenByOniguruma(text).matchAll(pattern)) {
      if (match !== "") found.push([index, index + match.length]);
    }
    return found;
  };
}

/** The global expression of a pattern, for replacing. */
export function toRegExp({ String: literal, Regex: source }: PatternDefinition): RegExp {
  if (literal !== undefined) return new RegExp(literal.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"), "gu");
  if (source === undefined) throw new UserError("a pattern in tokenizer.json has neither String nor Regex");
  try {
    const { pattern } = new SplitPreTokenizer({
      type: "Split",
      pattern: { Regex: foldedByUnicode(source) },
      behavior: "Isolated",
      invert: false,
    });
    if (pattern !== null) return pattern;
  } catch (cause) {
    throw new UserError(
      `this tokenizer needs the regular expression ${source}, which has no equal in JavaScript: ${(cause as Error).message}`,
      { cause },
    );
  }
  throw new UserError(`this tokenizer needs the regular expression ${source}, which has no equal in JavaScript`);
}

/**
 * The library folds case in `(?i:…)` among ASCII letters; Oniguruma also takes ſ for s and the Kelvin sign for k.
 * Only groups without classes and escapes are rewritten, as those of all tokenizers known to use one are.
 */
function foldedByUnicode(source: string): string {
  return source.replace(/\(\?i:([^()[\]\\]*)\)/g, (_, inner: string) => {
    const folded = inner.replace(/[sS]/g, "[sS\u017f]").replace(/[kK]/g, "[kK\u212a]");
    return `(?i:${folded})`;
  });
}

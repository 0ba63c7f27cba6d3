import { UserError } from "../../common/errors.ts";

/** A part of a text, [from, to). */
export type Span = readonly [from: number, to: number];

/** What becomes of the matches that a text is split at. */
export type SplitBehavior = "Isolated" | "Removed" | "Contiguous" | "MergedWithPrevious" | "MergedWithNext";

/**
 * Splits a text of `length` units at its matches, as `tokenizers` does: with `invert` what lies between the matches is
 * what it is split at. None of the spans is empty.
 */
export function split(length: number, matches: readonly Span[], behavior: SplitBehavior, invert = false): Span[] {
  const parts: { span: Span; match: boolean }[] = [];
  const part = (from: number, to: number, match: boolean) => {
    if (from < to) parts.push({ span: [from, to], match: match !== invert });
  };
  let done = 0;
  for (const [from, to] of matches) {
    part(done, from, false);
    part(from, to, true);
    done = to;
  }
  part(done, length, false);

  switch (behavior) {
    case "Isolated":
      return parts.map(({ span }) => span);
    case "Removed":
      return parts.filter(({ match }) => !match).map(({ span }) => span);
    case "Contiguous":
      return joined(parts, (part, previous) => part.match === previous.match);
    case "MergedWithPrevious":
      return joined(parts, (part, previous) => part.match && !previous.match);
    case "MergedWithNext":
      return joined(parts, (part, previous) => previous.match && !part.match);
    default:
      throw new UserError(`this tokenizer needs to split text by ${behavior as string}, which klamp does not know`);
  }
}

function joined<Part extends { readonly span: Span }>(
  parts: readonly Part[],
  together: (part: Part, previous: Part) => boolean,
): Span[] {
  const spans: Span[] = [];
  for (const [i, part] of parts.entries()) {
    const [from, to] = part.span;
    if (i > 0 && together(part, parts[i - 1]!)) spans[spans.length - 1] = [spans.at(-1)![0], to];
    else spans.push([from, to]);
  }
  return spans;
}

import type { Segment } from "./segment.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The tokens of a whole text and the weight of each. */
export interface TokensOfText {
  readonly tokens: readonly number[];
  readonly weights: readonly number[];
  /** Whether some token holds characters of segments with different weights. */
  readonly shared: boolean;
}

/**
 * The tokens of the segments joined, as a server reads them. Each has the weight of the segment whose characters it
 * holds, the greatest where it holds some of several. Special tokens that are put around (`specialTokens`, default false)
 * count 0 before the text, and as its last segment after it.
 */
export function tokensOf(
  segments: readonly Segment[],
  tokenizer: Pick<Tokenizer, "encodeSpans">,
  { specialTokens = false }: { readonly specialTokens?: boolean } = {},
): TokensOfText {
  const text = segments.map((segment) => segment.text).join("");
  const { ids, starts, ends } = tokenizer.encodeSpans(text, { specialTokens });
  const weightAt = new Float64Array(text.length);
  let at = 0;
  for (const { text, weight } of segments) {
    weightAt.fill(weight, at, at + text.length);
    at += text.length;
  }
  const weights: number[] = [];
  let shared = false;
  let leading = true;
  for (let token = 0; token < ids.length; token++) {
    const [start, end] = [starts[token]!, ends[token]!];
    if (start === end) {
      weights.push(leading && (text !== "" || token === 0) ? 0 : (segments.at(-1)?.weight ?? 0));
      continue;
    }
    leading = false;
    let weight = weightAt[start]!;
    for (let i = start + 1; i < end; i++) {
      if (weightAt[i] === weight) continue;
      shared = true;
      weight = Math.max(weight, weightAt[i]!);
    }
    weights.push(weight);
  }
  return { tokens: Array.from(ids), weights, shared };
}

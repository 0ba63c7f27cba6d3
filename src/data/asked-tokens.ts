import type { Tokenizer } from "./tokenizer.ts";
import { tokensOf } from "./tokens-of.ts";
import { endWithEos } from "./weighted-tokens.ts";

/** A question in tokens. */
export interface AskedTokens {
  /** What the model is given. */
  readonly prompt: Int32Array;
  /** What it should say, up to and with the token that ends it. */
  readonly completionTokens: Int32Array;
  /** Whether the tokens of the whole have one that holds characters of both. */
  readonly shared: boolean;
}

/**
 * The tokens of a prompt and of the answer to it, split where training splits them: those of the whole text. Where a
 * token holds characters of both, a prompt that ends in white space is given up to that token, so that the model is
 * asked for what it was taught; any other prompt is given whole, as a server reads it.
 */
export function askedTokens(prompt: string, answer: string, tokenizer: Tokenizer, specialTokens: boolean): AskedTokens {
  const segments = [
    { text: prompt, weight: 0 },
    { text: answer, weight: 1 },
  ];
  const { tokens, weights, shared } = tokensOf(segments, tokenizer, { specialTokens });
  const border = weights.indexOf(1);
  const begin = border === -1 ? tokens.length : border;
  if (!shared || /\s$/u.test(prompt)) {
    return {
      prompt: Int32Array.from(tokens.slice(0, begin)),
      completionTokens: untilItEnds(Int32Array.from(tokens.slice(begin)), tokenizer),
      shared,
    };
  }
  const whole = tokensOf([segments[0]!, { text: "", weight: 1 }], tokenizer, { specialTokens });
  return {
    prompt: Int32Array.from(whole.tokens.filter((_, i) => whole.weights[i] === 0)),
    completionTokens: untilItEnds(tokenizer.encode(answer), tokenizer),
    shared,
  };
}

/** A template may write a newline after the token that ends a turn; generation ends before it. */
function untilItEnds(tokens: Int32Array, tokenizer: Tokenizer): Int32Array {
  const end = tokens.findIndex((id) => tokenizer.stop.includes(id));
  return end === -1 ? endWithEos(tokens, tokenizer) : tokens.slice(0, end + 1);
}

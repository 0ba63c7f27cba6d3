import { UserError } from "../common/errors.ts";
import { type ChatFacts, type ChatRenderer, chatRenderer, splitChat } from "./chat/index.ts";
import type { Example } from "./example.ts";
import type { Segment } from "./segment.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { tokensOf } from "./tokens-of.ts";

/** A sequence and how much predicting each of its tokens counts, one weight a token. */
export interface WeightedTokens {
  readonly tokens: readonly number[];
  readonly weights: readonly number[];
}

/** A line in tokens. */
export interface TokenizedLine extends WeightedTokens {
  /** Of a conversation. */
  readonly chat?: ChatFacts | undefined;
}

/**
 * What turns an example into tokens: those of its whole text. A completion counts 1 a token, a prompt 0, a text 1; a
 * token that holds characters of both counts as the completion.
 *
 * Prompt and text get the special tokens that the tokenizer puts around a text, unless they are written there;
 * completion and text end in EOS. A chat template brings its own special tokens, and nothing is added to a list of tokens.
 *
 * @param notice is told, once, what a user should know of a border that falls inside a token.
 * @throws UserError when what is learned says nothing but its end.
 */
export function tokenizeWith(
  tokenizer: Tokenizer,
  notice: (sentence: string) => void = () => {},
): (example: Example) => TokenizedLine {
  let renderer: ChatRenderer | undefined;
  let noticed = false;
  const whole = (segments: readonly Segment[], specialTokens: boolean): WeightedTokens => {
    const { shared, ...tokens } = tokensOf(segments, tokenizer, { specialTokens });
    if (shared && !noticed) {
      noticed = true;
      notice(BORDER_IN_TOKEN);
    }
    return tokens;
  };
  return (example) => {
    switch (example.format) {
      case "tokens":
        return example;
      case "text":
        return saying(endText(whole([{ text: example.text, weight: 1 }], true), tokenizer), tokenizer);
      case "prompt":
        return saying(endText(whole(promptSegments(example), true), tokenizer), tokenizer);
      case "messages": {
        renderer ??= chatRenderer(tokenizer, tokenizer.chat);
        let chat: ChatFacts | undefined;
        const segments = splitChat(example, renderer, (facts) => {
          chat = facts;
        });
        return { ...saying(endAnswer(whole(segments, false), tokenizer), tokenizer), chat };
      }
    }
  };
}

/** The line itself. @throws UserError when nothing is learned but ends of answers and white space. */
function saying(line: WeightedTokens, { stop, decode }: Tokenizer): WeightedTokens {
  const { tokens, weights } = line;
  const learned = tokens.filter((_, i) => weights[i]! > 0);
  const says = (id: number) => !stop.includes(id) && decode([id], { specialTokens: true }).trim() !== "";
  if (learned.length === 0 || learned.some(says)) return line;
  throw new UserError(
    "what is learned of this line is nothing but the end of an answer, and the model would learn to say nothing: take the line out",
  );
}

/** What a line of prompt and completion asks to be learned. */
export function promptSegments({
  prompt,
  completion,
}: {
  readonly prompt: string;
  readonly completion: string;
}): Segment[] {
  return [
    { text: prompt, weight: 0 },
    { text: completion, weight: 1 },
  ];
}

/** Said once where a prompt and its completion share a token. */
export const BORDER_IN_TOKEN =
  "a prompt ends within a token that its completion goes on with, such as a space before a word: klamp learns the token as the whole text has it, so ask the model with the prompt that ends before it (without the space)";

/** The tokens of a prompt, with the special ones that the tokenizer begins a text with; an EOS it would add is left off. */
export function encodePrompt(prompt: string, tokenizer: Tokenizer): Int32Array {
  const { ids, starts, ends } = tokenizer.encodeSpans(prompt, { specialTokens: true });
  let length = ids.length;
  while (length > 0 && ids[length - 1] === tokenizer.eos && starts[length - 1] === ends[length - 1]) length--;
  return ids.subarray(0, length);
}

/** Appends EOS, unless the tokens end with it already. */
export function endWithEos(tokens: Int32Array, tokenizer: Tokenizer): Int32Array {
  const eos = eosOf(tokenizer);
  if (tokens.at(-1) === eos) return tokens;
  const ended = new Int32Array(tokens.length + 1);
  ended.set(tokens);
  ended[tokens.length] = eos;
  return ended;
}

/** The same of weighted tokens; EOS counts 1. */
function endText({ tokens, weights }: WeightedTokens, tokenizer: Tokenizer): WeightedTokens {
  const eos = eosOf(tokenizer);
  return tokens.at(-1) === eos ? { tokens, weights } : { tokens: [...tokens, eos], weights: [...weights, 1] };
}

function eosOf({ eos, folder }: Tokenizer): number {
  if (eos !== null) return eos;
  throw new UserError(
    `the tokenizer in ${folder} names no token that ends a text: set eos_token in its tokenizer_config.json, or give the data as {"tokens"}`,
  );
}

/** A conversation whose template writes no token that ends its last answer gets EOS there. */
function endAnswer(answered: WeightedTokens, tokenizer: Tokenizer): WeightedTokens {
  const { tokens, weights } = answered;
  let begin = weights.findLastIndex((weight) => weight > 0);
  while (begin > 0 && weights[begin - 1]! > 0) begin--;
  const ends = begin === -1 || tokenizer.eos === null || tokens.slice(begin).some((id) => tokenizer.stop.includes(id));
  return ends ? answered : endText(answered, tokenizer);
}

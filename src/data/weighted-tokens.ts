import { UserError } from "../common/errors.ts";
import { type ChatRenderer, chatRenderer, splitChat } from "./chat/index.ts";
import type { Example } from "./example.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A sequence and how much predicting each of its tokens counts, one weight a token. */
export interface WeightedTokens {
  readonly tokens: readonly number[];
  readonly weights: readonly number[];
}

/**
 * What turns an example into tokens: a completion counts 1 a token, a prompt 0, a text 1.
 *
 * Prompt and text get the special tokens that the tokenizer puts around a text; completion and text end in EOS. A chat
 * template brings its own special tokens, and nothing is added to a list of tokens. Prompt and completion are tokenized
 * apart, so that a prompt has the same tokens here as when the model is asked.
 */
export function tokenizeWith(tokenizer: Tokenizer): (example: Example) => WeightedTokens {
  let renderer: ChatRenderer | undefined;
  return (example) => {
    switch (example.format) {
      case "tokens":
        return example;
      case "text":
        return join([[endWithEos(tokenizer.encode(example.text, { specialTokens: true }), tokenizer), 1]]);
      case "prompt":
        return join([
          [encodePrompt(example.prompt, tokenizer), 0],
          [endWithEos(tokenizer.encode(example.completion), tokenizer), 1],
        ]);
      case "messages": {
        renderer ??= chatRenderer(tokenizer);
        const segments = splitChat(example, renderer);
        return join(segments.map(({ text, weight }) => [tokenizer.encode(text), weight]));
      }
    }
  };
}

/** The tokens of a prompt, with the special ones that the tokenizer begins a text with; an EOS it would add is left off. */
export function encodePrompt(prompt: string, tokenizer: Tokenizer): Int32Array {
  const tokens = tokenizer.encode(prompt, { specialTokens: true });
  const plain = tokenizer.encode(prompt);
  const closed = tokens.at(-1) === tokenizer.eos && plain.at(-1) !== tokenizer.eos;
  return closed ? tokens.subarray(0, -1) : tokens;
}

/** Appends EOS, unless the tokens end with it already. */
export function endWithEos(tokens: Int32Array, { eos, folder }: Tokenizer): Int32Array {
  if (eos === null) {
    throw new UserError(
      `the tokenizer in ${folder} names no token that ends a text: set eos_token in its tokenizer_config.json, or give the data as {"tokens"}`,
    );
  }
  return tokens.at(-1) === eos ? tokens : Int32Array.of(...tokens, eos);
}

function join(parts: readonly (readonly [Int32Array, number])[]): WeightedTokens {
  return {
    tokens: parts.flatMap(([tokens]) => [...tokens]),
    weights: parts.flatMap(([tokens, weight]) => [...tokens].map(() => weight)),
  };
}

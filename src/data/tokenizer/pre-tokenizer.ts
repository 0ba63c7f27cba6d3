import { type Aligned, cut, prepend, replaceAll } from "./aligned.ts";
import { toByteCharacters } from "./byte-level.ts";
import { notSupported } from "./not-supported.ts";
import { compilePattern, type FindMatches, type PatternDefinition } from "./pattern.ts";
import { type SplitBehavior, split } from "./split.ts";

/** One step of tokenizer.json's `pre_tokenizer`. */
export type PreTokenizerDefinition =
  | { readonly type: "Sequence"; readonly pretokenizers: readonly PreTokenizerDefinition[] }
  | {
      readonly type: "Split";
      readonly pattern: PatternDefinition;
      readonly behavior: SplitBehavior;
      readonly invert?: boolean;
    }
  | { readonly type: "ByteLevel"; readonly add_prefix_space?: boolean; readonly use_regex?: boolean }
  | {
      readonly type: "Metaspace";
      readonly replacement?: string;
      readonly prepend_scheme?: "always" | "first" | "never";
      readonly add_prefix_space?: boolean;
      readonly split?: boolean;
    }
  | { readonly type: "Digits"; readonly individual_digits?: boolean };

/** A text split into words; no token holds parts of two. */
export type PreTokenize = (text: Aligned) => Aligned[];

const SUPPORTED = ["Sequence", "Split", "ByteLevel", "Metaspace", "Digits"];
/** GPT-2's words, which ByteLevel splits into unless told not to. */
const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** This one step knows the numbers of Unicode 17, in any Node: it is Rust's, not Oniguruma's. */
const DIGIT = /[\p{N}\u{11de0}-\u{11de9}\u{16ff4}-\u{16ff6}]/gu;
const digits: FindMatches = (text) =>
  Array.from(text.matchAll(DIGIT), ({ 0: digit, index }) => [index, index + digit.length] as const);

/** What splits a text before the model sees it. */
export function preTokenizer(definition: PreTokenizerDefinition | null | undefined): PreTokenize {
  if (definition == null) return (text) => [text];
  switch (definition.type) {
    case "Sequence": {
      const steps = definition.pretokenizers.map(preTokenizer);
      return (text) => steps.reduce<Aligned[]>((words, step) => words.flatMap(step), [text]);
    }
    case "Split":
      return at(compilePattern(definition.pattern), definition.behavior, definition.invert);
    case "Digits":
      return at(digits, definition.individual_digits ? "Isolated" : "Contiguous");
    case "ByteLevel": {
      const words = definition.use_regex === false ? null : at(compilePattern({ Regex: GPT2 }), "Isolated");
      return (text) => {
        const whole = definition.add_prefix_space && !text.text.startsWith(" ") ? prepend(" ", text) : text;
        return (words?.(whole) ?? [whole]).map(toByteCharacters);
      };
    }
    case "Metaspace":
      return metaspace(definition);
    default:
      throw notSupported(`the pre-tokenizer ${(definition as { type: string }).type}`, SUPPORTED);
  }
}

function at(find: FindMatches, behavior: SplitBehavior, invert?: boolean): PreTokenize {
  return (text) => split(text.text.length, find(text.text), behavior, invert).map(([from, to]) => cut(text, from, to));
}

function metaspace(definition: PreTokenizerDefinition & { readonly type: "Metaspace" }): PreTokenize {
  const { replacement = "▁" } = definition;
  // Files written before there was `prepend_scheme` have `add_prefix_space` alone.
  const scheme = definition.prepend_scheme ?? (definition.add_prefix_space === false ? "never" : "always");
  const words = at(compilePattern({ String: replacement }), "MergedWithNext");
  return (text) => {
    const marked = replaceAll(text, / /g, replacement);
    const asked = scheme === "always" || (scheme === "first" && text.starts[0] === 0);
    const whole = asked && !marked.text.startsWith(replacement) ? prepend(replacement, marked) : marked;
    return definition.split === false ? [whole] : words(whole);
  };
}

import { type Aligned, prepend, replaceAll } from "./aligned.ts";
import { notSupported } from "./not-supported.ts";
import { type PatternDefinition, toRegExp } from "./pattern.ts";
import { type UnicodeForm, unicodeForm } from "./unicode-form.ts";

/** One step of tokenizer.json's `normalizer`. */
export type NormalizerDefinition =
  | { readonly type: "Sequence"; readonly normalizers: readonly NormalizerDefinition[] }
  | { readonly type: "Prepend"; readonly prepend: string }
  | { readonly type: "Replace"; readonly pattern: PatternDefinition; readonly content: string }
  | { readonly type: UnicodeForm };

export type Normalize = (text: Aligned) => Aligned;

const SUPPORTED = ["Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD"];

/** What is done to a text before it is split; each character of the result knows where it came from. */
export function normalizer(definition: NormalizerDefinition | null | undefined): Normalize {
  if (definition == null) return (text) => text;
  switch (definition.type) {
    case "Sequence": {
      const steps = definition.normalizers.map(normalizer);
      return (text) => steps.reduce((done, step) => step(done), text);
    }
    case "Prepend":
      return (text) => prepend(definition.prepend, text);
    case "Replace": {
      const pattern = toRegExp(definition.pattern);
      return (text) => replaceAll(text, pattern, definition.content);
    }
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => unicodeForm(text, definition.type);
    default:
      throw notSupported(`the normalizer ${(definition as { type: string }).type}`, SUPPORTED);
  }
}

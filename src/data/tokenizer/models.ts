import { type BpeDefinition, bpe } from "./bpe.ts";
import type { TokenModel } from "./model.ts";
import { notSupported } from "./not-supported.ts";
import { type UnigramDefinition, unigram } from "./unigram.ts";

/** tokenizer.json's `model`. */
export type ModelDefinition = BpeDefinition | UnigramDefinition;

/** What turns words into the tokens of `definition`. */
export function tokenModel(definition: ModelDefinition): TokenModel {
  const type = definition.type ?? ("merges" in definition ? "BPE" : undefined);
  if (type === "BPE") return bpe(definition as BpeDefinition);
  if (type === "Unigram") return unigram(definition as UnigramDefinition);
  throw notSupported(`a model of type ${String(type)}`, ["BPE", "Unigram"]);
}

import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJsonFile } from "../../../common/text-file.ts";
import type { AddedToken } from "../../../data/tokenizer/added-tokens.ts";
import { declaredTokens } from "../../../data/tokenizer/declared-tokens.ts";
import type { Json } from "../../../data/tokenizer/model-folder.ts";

/** The ids below V that the tokenizer of a model folder does not have; none where the folder has no tokenizer.json. */
export function idsWithoutToken(folder: string, vocabSize: number): readonly number[] {
  const path = join(folder, "tokenizer.json");
  if (!existsSync(path)) return [];
  const has = new Uint8Array(vocabSize);
  const settings = join(folder, "tokenizer_config.json");
  for (const id of idsOf(
    readJsonFile(path) as Definition,
    existsSync(settings) ? (readJsonFile(settings) as Json) : {},
  ))
    has[id] = 1;
  const missing: number[] = [];
  for (let id = 0; id < vocabSize; id++) if (!has[id]) missing.push(id);
  return missing;
}

interface Definition {
  readonly model?: { readonly vocab?: Readonly<Record<string, number>> | readonly (readonly [string, number])[] };
  readonly added_tokens?: readonly AddedToken[];
}

/** A vocabulary is ids by token, or for Unigram a list. Of added tokens, some are declared in the settings alone. */
function idsOf({ model: { vocab = {} } = {}, added_tokens = [] }: Definition, settings: Json): number[] {
  const own = new Map(
    isList(vocab) ? vocab.map(([piece], id): [string, number] => [piece, id]) : Object.entries(vocab),
  );
  return [...own.values(), ...declaredTokens(added_tokens, settings, own).map(({ id }) => id)];
}

function isList(vocab: NonNullable<Definition["model"]>["vocab"]): vocab is readonly (readonly [string, number])[] {
  return Array.isArray(vocab);
}

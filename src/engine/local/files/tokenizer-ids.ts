import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJsonFile } from "../../../common/text-file.ts";

/** The ids below V that the tokenizer of a model folder does not have; none where the folder has no tokenizer.json. */
export function idsWithoutToken(folder: string, vocabSize: number): readonly number[] {
  const path = join(folder, "tokenizer.json");
  if (!existsSync(path)) return [];
  const has = new Uint8Array(vocabSize);
  for (const id of idsOf(readJsonFile(path) as Definition)) has[id] = 1;
  const missing: number[] = [];
  for (let id = 0; id < vocabSize; id++) if (!has[id]) missing.push(id);
  return missing;
}

interface Definition {
  readonly model?: { readonly vocab?: Readonly<Record<string, number>> | unknown[] };
  readonly added_tokens?: readonly { readonly id: number }[];
}

/** A vocabulary is ids by token, or for Unigram a list. */
function idsOf({ model: { vocab = {} } = {}, added_tokens = [] }: Definition): number[] {
  const own: number[] = Array.isArray(vocab) ? [...vocab.keys()] : Object.values(vocab);
  return own.concat(added_tokens.map(({ id }) => id));
}

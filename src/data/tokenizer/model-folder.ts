import { existsSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../common/errors.ts";
import { readJsonFile, readTextFile } from "../../common/text-file.ts";

/** The most bytes of a chat template: a hundred times the longest known. */
export const MOST_TEMPLATE = 4 << 20;

export type Json = Readonly<Record<string, unknown>>;

/** A JSON file of a model folder, which must hold an object. */
export function readFolderJson(folder: string, name: string): Json {
  const path = join(folder, name);
  try {
    const json = readJsonFile(path);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  } catch (cause) {
    const missing = ((cause as Error).cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
    throw missing ? new UserError(`${(cause as Error).message} in the model folder`, { cause }) : cause;
  }
  throw new UserError(`${path} must hold one JSON object`);
}

/** `"<s>"` or `{ "content": "<s>", … }`, under every key that ends in `_token`. */
export function readSpecialTokens(settings: Json): Record<string, string> {
  const named: Record<string, string> = {};
  for (const [key, value] of Object.entries(settings)) {
    if (!key.endsWith("_token")) continue;
    const text = typeof value === "object" && value !== null ? (value as Json).content : value;
    if (typeof text === "string") named[key] = text;
  }
  return named;
}

/** A template's own file wins over tokenizer_config.json; of several named ones, `default` is taken. */
export function readChatTemplate(folder: string, settings: Json): string | null {
  const file = join(folder, "chat_template.jinja");
  if (existsSync(file)) return readTextFile(file, MOST_TEMPLATE);
  const written = settings.chat_template;
  if (!Array.isArray(written)) return typeof written === "string" ? written : null;
  const named = (written as (Json | null)[]).find((each) => each?.name === "default")?.template;
  return typeof named === "string" ? named : null;
}

/** `7` or `[7, 8]`, as config.json writes token ids. */
export function tokenIds(value: unknown): number[] {
  return [value].flat().filter((id): id is number => Number.isInteger(id));
}

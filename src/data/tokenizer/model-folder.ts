import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../common/errors.ts";

export type Json = Readonly<Record<string, unknown>>;

/** A JSON file of a model folder, which must hold an object. */
export function readFolderJson(folder: string, name: string): Json {
  const path = join(folder, name);
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = missing ? "there is no such file in the model folder" : (cause as Error).message;
    throw new UserError(`cannot read ${path}: ${reason}`, { cause });
  }
  try {
    const json: unknown = JSON.parse(source);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  } catch (cause) {
    throw new UserError(`${path} is not valid JSON: ${(cause as Error).message}`, { cause });
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
  if (existsSync(file)) return readFileSync(file, "utf8");
  const written = settings.chat_template;
  if (!Array.isArray(written)) return typeof written === "string" ? written : null;
  const named = (written as Json[]).find(({ name }) => name === "default")?.template;
  return typeof named === "string" ? named : null;
}

/** `7` or `[7, 8]`, as config.json writes token ids. */
export function tokenIds(value: unknown): number[] {
  return [value].flat().filter((id): id is number => Number.isInteger(id));
}

import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { UserError } from "../common/errors.ts";
import { parsePythonJson } from "./python-json.ts";

/** One object of a JSON Lines file. */
export interface JsonLine {
  readonly value: Readonly<Record<string, unknown>>;
  /** File name and line number, `train.jsonl:12`. */
  readonly source: string;
  /** An error about this line, which names it. */
  fail(reason: string, options?: ErrorOptions): UserError;
}

/**
 * The objects of a JSON Lines file, one at a time: the file itself is never held in memory.
 * Blank lines at its end are fine.
 *
 * @throws UserError for a file that cannot be read, is empty, or is not UTF-8; for a line that is empty, or is not one JSON object.
 */
export async function* readJsonLines(path: string): AsyncGenerator<JsonLine> {
  let number = 0;
  let blank = 0;
  let found = false;
  for await (const text of readLines(path)) {
    number++;
    if (text.trim() === "") {
      blank ||= number;
      continue;
    }
    if (blank > 0) throw new UserError(`${path}:${blank}: this line is empty: take it out`);
    found = true;
    const where = `${path}:${number}`;
    const fail = (reason: string, options?: ErrorOptions) => new UserError(`${where}: ${reason}`, options);
    yield { value: parseObject(text, fail), source: `${basename(path)}:${number}`, fail };
  }
  if (!found) throw new UserError(`${path}: the file is empty: expected JSON Lines, one example a line`);
}

/** Ends lines at \n alone, as JSON Lines do, and hands read errors on, which Node's readline does not. */
async function* readLines(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  try {
    for await (const chunk of createReadStream(path)) {
      // Only the new piece is searched, so that a very long line costs no more than many short ones.
      const [first, ...more] = decoder.decode(chunk as Uint8Array, { stream: true }).split("\n");
      rest += first;
      for (const next of more) {
        yield rest;
        rest = next;
      }
    }
    rest += decoder.decode();
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`cannot read ${path}: ${describe(cause as NodeJS.ErrnoException)}`, { cause });
  }
  if (rest !== "") yield rest;
}

function describe({ code, message }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "it is a folder, expected a JSON Lines file";
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return "it is not UTF-8 text";
  return message;
}

function parseObject(text: string, fail: JsonLine["fail"]): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fail(`this line is not valid JSON (${(cause as Error).message}): each line must hold one whole object`, {
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return withExactChat(value as Readonly<Record<string, unknown>>, text);
  }
  throw fail(
    `this line is ${Array.isArray(value) ? "a list" : JSON.stringify(value).slice(0, 40)}, expected one object such as {"prompt": "…", "completion": "…"}`,
  );
}

/** What a chat template is given is as the text has it: 1.0 is no 1, and an integer has all its digits. */
function withExactChat(value: Readonly<Record<string, unknown>>, text: string): Readonly<Record<string, unknown>> {
  if (!Object.hasOwn(value, "messages")) return value;
  const exact = parsePythonJson(text) as Readonly<Record<string, unknown>>;
  const keys = ["messages", "tools", "documents", "chat_template_kwargs", "template_kwargs"];
  return { ...value, ...Object.fromEntries(keys.flatMap((key) => (key in exact ? [[key, exact[key]]] : []))) };
}

import { endOfString } from "./files/end-of-string.ts";
import { isFloatText, PythonFloat } from "./python/float.ts";

/** The order of an object's keys as written, where JavaScript keeps another one: it puts keys such as "2" first. */
const writtenOrder = Symbol("keys in the order of the text");

/** The keys of an object in the order in which its JSON text has them. */
export function writtenKeys(object: object): readonly string[] {
  return (object as { [writtenOrder]?: readonly string[] })[writtenOrder] ?? Object.keys(object);
}

export interface PythonJsonOptions {
  /** Told each key that an object has twice; the last value counts, as in Python. */
  readonly onDoubledKey?: (key: string) => void;
}

/**
 * Reads JSON text and keeps what Python's `json` keeps: integers beyond 2^53 are bigints, and a float that JavaScript
 * would show as an integer (1.0, 1e10, -0.0) is a `PythonFloat`. All else is as `JSON.parse` has it, and so are errors.
 * Nesting of any depth is read.
 *
 * @throws SyntaxError when the text is not one JSON value.
 * @example parsePythonJson('[9007199254740993, 1.0]') // [9007199254740993n, PythonFloat(1)]
 */
export function parsePythonJson(text: string, { onDoubledKey }: PythonJsonOptions = {}): unknown {
  // JSON.parse judges the text, so what follows reads only what is valid.
  const plain: unknown = JSON.parse(text);
  if (typeof plain !== "object" || plain === null) return typeof plain === "number" ? numberOf(text.trim()) : plain;

  const open: Container[] = [];
  const tokens = new RegExp(TOKEN, "g");
  for (let found = tokens.exec(text); found; found = tokens.exec(text)) {
    let [token] = found;
    if (token === '"') {
      const end = endOfString(text, found.index) + 1;
      token = text.slice(found.index, end);
      tokens.lastIndex = end;
    }
    const top = open.at(-1);
    if (token === "{" || token === "[") open.push(token === "{" ? new ObjectReader(onDoubledKey) : new ListReader());
    else if (token === "}" || token === "]") {
      open.pop();
      const value = top!.value();
      if (open.length === 0) return value;
      open.at(-1)!.add(value);
    } else if (token[0] !== '"') top!.add(scalarOf(token));
    else top!.add(token.includes("\\") ? JSON.parse(token) : token.slice(1, -1));
  }
  throw new SyntaxError("the JSON text ends too early");
}

/** A token, of a string its begin: an expression for all of it would overflow the stack of the matcher on a long one. */
const TOKEN = /["{}[\]]|[^\s,:{}[\]"]+/;

interface Container {
  add(value: unknown): void;
  value(): unknown;
}

class ListReader implements Container {
  readonly #items: unknown[] = [];
  add(value: unknown): void {
    this.#items.push(value);
  }
  value(): unknown {
    return this.#items;
  }
}

class ObjectReader implements Container {
  readonly #entries = new Map<string, unknown>();
  readonly #onDoubledKey: PythonJsonOptions["onDoubledKey"];
  #key: string | undefined;
  constructor(onDoubledKey: PythonJsonOptions["onDoubledKey"]) {
    this.#onDoubledKey = onDoubledKey;
  }
  add(value: unknown): void {
    if (this.#key === undefined) {
      this.#key = value as string;
      if (this.#entries.has(this.#key)) this.#onDoubledKey?.(this.#key);
      return;
    }
    this.#entries.set(this.#key, value);
    this.#key = undefined;
  }
  value(): unknown {
    const object = Object.fromEntries(this.#entries);
    const keys = [...this.#entries.keys()];
    if (keys.some((key) => /^\d/.test(key))) Object.defineProperty(object, writtenOrder, { value: keys });
    return object;
  }
}

function scalarOf(token: string): unknown {
  if (token === "true" || token === "false") return token === "true";
  return token === "null" ? null : numberOf(token);
}

function numberOf(token: string): unknown {
  const value = Number(token);
  if (isFloatText(token)) return Number.isInteger(value) || !Number.isFinite(value) ? new PythonFloat(value) : value;
  return Number.isSafeInteger(value) ? value + 0 : BigInt(token);
}

import { floatText } from "./float.ts";
import { checkText } from "./size.ts";
import { compareText } from "./text.ts";
import { Dict, PythonError, Tuple, textOf, typeName, type Value } from "./values.ts";

export interface DumpOptions {
  readonly ensureAscii?: boolean;
  readonly indent?: string | null;
  readonly separators?: readonly [item: string, key: string] | null;
  readonly sortKeys?: boolean;
}

/** A value as Python's `json.dumps` writes it. */
export function dumpJson(
  value: Value,
  { ensureAscii = false, indent = null, separators = null, sortKeys = false }: DumpOptions,
): string {
  const [itemEnd, keyEnd] = separators ?? [indent === null ? ", " : ",", ": "];
  const quote = (text: string) => quoteJson(text, ensureAscii);
  const write = (of: Value, depth: number): string => {
    if (of === null || typeof of === "boolean" || typeof of === "bigint" || typeof of === "number") return scalar(of);
    const text = textOf(of);
    if (text !== undefined) return quote(text);
    const items = Array.isArray(of) ? of : of instanceof Tuple ? of.items : undefined;
    if (items !== undefined)
      return group(
        "[]",
        items.map((item) => write(item, depth + 1)),
        depth,
      );
    if (!(of instanceof Dict)) throw new PythonError(`Object of type ${typeName(of)} is not JSON serializable`);
    const entries = of.entries().map(([key, held]) => [keyText(key), held] as const);
    if (sortKeys) entries.sort(([a], [b]) => compareText(a, b));
    return group(
      "{}",
      entries.map(([key, held]) => quote(key) + keyEnd + write(held, depth + 1)),
      depth,
    );
  };
  const group = (brackets: string, items: readonly string[], depth: number): string => {
    if (items.length === 0) return brackets;
    checkText(items.reduce((sum, { length }) => sum + length, 0) + (indent?.length ?? 0) * depth * items.length);
    if (indent === null) return brackets[0] + items.join(itemEnd) + brackets[1];
    const line = `\n${indent.repeat(depth + 1)}`;
    return `${brackets[0]}${line}${items.join(itemEnd + line)}\n${indent.repeat(depth)}${brackets[1]}`;
  };
  return write(value, 0);
}

function scalar(value: null | boolean | bigint | number): string {
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  return floatText(value);
}

function keyText(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null || typeof key === "boolean" || typeof key === "bigint" || typeof key === "number")
    return scalar(key);
  throw new PythonError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function quoteJson(text: string, ensureAscii: boolean): string {
  const pattern = ensureAscii ? /["\\]|[^ -~]/g : /["\\]|[^ -\uffff]/g;
  const escaped = text.replace(
    pattern,
    (unit) => SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `"${escaped}"`;
}

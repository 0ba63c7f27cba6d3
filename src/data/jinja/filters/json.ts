import { bind } from "../../python/arguments.ts";
import { dumpJson } from "../../python/json-dump.ts";
import { isTrue, toList } from "../../python/sequence.ts";
import { repeatText } from "../../python/size.ts";
import { PythonError, textOf, type Value } from "../../python/values.ts";
import type { Filter } from "./filter.ts";

/** `tojson` as transformers defines it: Python's `json.dumps`, without the escapes for HTML. */
export const jsonFilters: Readonly<Record<string, Filter>> = {
  tojson: (value, args) => {
    const parameters = ["ensure_ascii", "indent", "separators", "sort_keys"];
    const [ensureAscii = false, indent = null, separators = null, sortKeys = false] = bind("tojson", args, parameters);
    return dumpJson(value, {
      ensureAscii: isTrue(ensureAscii),
      indent: indentOf(indent),
      separators: separators === null ? null : separatorsOf(separators),
      sortKeys: isTrue(sortKeys),
    });
  },
};

function indentOf(indent: Value): string | null {
  if (indent === null) return null;
  if (typeof indent === "bigint" || typeof indent === "boolean") return repeatText(" ", Math.max(0, Number(indent)));
  const text = textOf(indent);
  if (text === undefined) throw new PythonError("indent must be a number of spaces or a text");
  return text;
}

function separatorsOf(value: Value): readonly [string, string] {
  const [item, key] = toList(value).map((part) => textOf(part));
  if (item === undefined || key === undefined) throw new PythonError("separators must be two texts");
  return [item, key];
}

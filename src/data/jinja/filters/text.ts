import { bind, toInt } from "../../python/arguments.ts";
import { escapeHtml } from "../../python/escape.ts";
import { percentFormat } from "../../python/percent-format.ts";
import { str } from "../../python/print.ts";
import { isTrue, lengthOf } from "../../python/sequence.ts";
import { repeatText } from "../../python/size.ts";
import { replace, stringMethods } from "../../python/string-methods.ts";
import { capitalize, characters, codePointLength, splitLines, strip } from "../../python/text.ts";
import { Dict, Markup, PythonError, Tuple, textOf, typeName, type Value } from "../../python/values.ts";
import type { Filter } from "./filter.ts";

/** Filters that make text of text. */
export const textFilters: Readonly<Record<string, Filter>> = {
  capitalize: (value) => capitalize(str(value)),
  center: (value, args) => {
    const [width = 80n] = bind("center", args, ["width"]);
    return stringMethods.center!(str(value), { positional: [width], named: new Map() });
  },
  e: escaped,
  escape: escaped,
  forceescape: (value) => new Markup(escapeHtml(str(value))),
  format: (value, { positional, named }) => {
    if (positional.length > 0 && named.size > 0) {
      throw new PythonError("can't handle positional and keyword arguments at the same time");
    }
    return percentFormat(str(value), named.size > 0 ? new Dict(named) : new Tuple(positional));
  },
  indent: (value, args) => {
    const [width = 4n, first = false, blank = false] = bind("indent", args, ["width", "first", "blank"]);
    return indent(
      textOnly("indent", value),
      textOf(width) ?? repeatText(" ", toInt(width, 4)),
      isTrue(first),
      isTrue(blank),
    );
  },
  lower: (value) => str(value).toLowerCase(),
  replace: (value, args) => {
    const [old, by, count = null] = bind("replace", args, ["old", "new", "count"]);
    if (old === undefined || by === undefined) throw new PythonError("replace needs what to replace, and by what");
    return replace(str(value), str(old), str(by), count === null ? -1 : toInt(count, -1));
  },
  safe: (value) => new Markup(str(value)),
  string: (value) => (value instanceof Markup ? value : str(value)),
  title: (value) => {
    const words = str(value).split(/([-\s({[<]+)/);
    return words
      .map((word) => (characters(word)[0] ?? "").toUpperCase() + characters(word).slice(1).join("").toLowerCase())
      .join("");
  },
  trim: (value, args) => {
    const [chars = null] = bind("trim", args, ["chars"]);
    return strip(str(value), chars === null ? null : str(chars));
  },
  truncate: (value, args) => {
    const options = bind("truncate", args, ["length", "killwords", "end", "leeway"]);
    const isShort = textOf(value) === undefined && lengthOf(value) <= toInt(options[0], 255);
    return isShort ? value : truncate(textOnly("truncate", value), options);
  },
  upper: (value) => str(value).toUpperCase(),
  wordcount: (value) => BigInt(str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
};

function escaped(value: Value): Markup {
  return value instanceof Markup ? value : new Markup(escapeHtml(str(value)));
}

/** The text of a value that must be one: these filters do not make text of other values. */
function textOnly(name: string, value: Value): string {
  const text = textOf(value);
  if (text === undefined) throw new PythonError(`the filter ${name} takes text, not ${typeName(value)}`);
  return text;
}

function indent(text: string, by: string, first: boolean, blank: boolean): string {
  const lines = splitLines(`${text}\n`, false);
  const [head = "", ...rest] = lines;
  const indented = rest.map((line) => (line !== "" || blank ? by + line : line));
  return (first ? by : "") + [head, ...indented].join("\n");
}

function truncate(
  text: string,
  [length = 255n, killWords = false, end = "...", leeway = null]: (Value | undefined)[],
): string {
  const [most, tail] = [toInt(length, 255), str(end)];
  if (most < codePointLength(tail)) throw new PythonError(`expected length >= ${codePointLength(tail)}, got ${most}`);
  const all = characters(text);
  if (all.length <= most + (leeway === null ? 5 : toInt(leeway, 5))) return text;
  const kept = all.slice(0, most - codePointLength(tail)).join("");
  if (isTrue(killWords)) return kept + tail;
  const space = kept.lastIndexOf(" ");
  return (space === -1 ? kept : kept.slice(0, space)) + tail;
}

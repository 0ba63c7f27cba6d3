import { bind, toInt } from "./arguments.ts";
import { isTrue, iterate, slicePositions } from "./sequence.ts";
import { repeatText } from "./size.ts";
import { characterTests } from "./string-tests.ts";
import {
  capitalize,
  characters,
  codePointLength,
  codePointsBefore,
  leftStrip,
  rightStrip,
  splitLines,
  splitSpaces,
  strip,
  title,
} from "./text.ts";
import { type Arguments, PythonError, Tuple, textOf, typeName, type Value } from "./values.ts";

type Method = (text: string, args: Arguments) => Value;

/** The methods of `str`, save `format`, which looks attributes up. Those of `UNSUPPORTED_METHODS` are refused. */
export const stringMethods: Readonly<Record<string, Method>> = {
  ...characterTests,
  capitalize: (text) => capitalize(text),
  casefold: (text) => text.toUpperCase().toLowerCase().replaceAll("ς", "σ"),
  center: (text, args) => justify("center", text, args),
  count: (text, args) => BigInt(count(window("count", text, args))),
  endswith: (text, args) => affix("endswith", text, args, (part, affix) => part.endsWith(affix)),
  expandtabs: (text, args) => expandTabs(text, toInt(bind("expandtabs", args, ["tabsize"])[0], 8)),
  find: (text, args) => BigInt(find("find", text, args, false)),
  index: (text, args) => BigInt(found(find("index", text, args, false))),
  join: (text, args) => [...iterate(needed("join", args, ["iterable"])[0]!)].map(textItem).join(text),
  ljust: (text, args) => justify("ljust", text, args),
  lower: (text) => text.toLowerCase(),
  lstrip: (text, args) => leftStrip(text, charsOf("lstrip", args)),
  partition: (text, args) => partition("partition", text, args, (part) => text.indexOf(part)),
  removeprefix: (text, args) => {
    const prefix = textNeeded("removeprefix", args);
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  },
  removesuffix: (text, args) => {
    const suffix = textNeeded("removesuffix", args);
    return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
  replace: (text, args) => {
    const [old, by, times] = needed("replace", args, ["old", "new"], ["count"]);
    return replace(text, textItem(old!), textItem(by!), toInt(times, -1));
  },
  rfind: (text, args) => BigInt(find("rfind", text, args, true)),
  rindex: (text, args) => BigInt(found(find("rindex", text, args, true))),
  rjust: (text, args) => justify("rjust", text, args),
  rpartition: (text, args) => partition("rpartition", text, args, (part) => text.lastIndexOf(part), true),
  rsplit: (text, args) => splitFrom("rsplit", text, args),
  rstrip: (text, args) => rightStrip(text, charsOf("rstrip", args)),
  split: (text, args) => splitFrom("split", text, args),
  splitlines: (text, args) => splitLines(text, isTrue(bind("splitlines", args, ["keepends"])[0] ?? false)),
  startswith: (text, args) => affix("startswith", text, args, (part, affix) => part.startsWith(affix)),
  strip: (text, args) => strip(text, charsOf("strip", args)),
  swapcase: (text) =>
    characters(text)
      .map((character) => (character === character.toLowerCase() ? character.toUpperCase() : character.toLowerCase()))
      .join(""),
  title: (text) => title(text),
  upper: (text) => text.toUpperCase(),
  zfill: (text, args) => {
    const missing = toInt(needed("zfill", args, ["width"])[0], 0) - codePointLength(text);
    const sign = /^[+-]/.test(text) ? text[0]! : "";
    return missing > 0 ? sign + repeatText("0", missing) + text.slice(sign.length) : text;
  },
};

/** Methods of Python's values that klamp does not have. */
export const UNSUPPORTED_METHODS: readonly string[] = [
  "encode",
  "format_map",
  "maketrans",
  "translate",
  "to_bytes",
  "from_bytes",
  "hex",
];

/** `text.replace(old, by, times)`; a negative number of times is all. */
export function replace(text: string, old: string, by: string, times: number): string {
  if (times < 0 && old !== "") return text.replaceAll(old, () => by);
  if (times === 0) return text;
  const pieces = old === "" ? ["", ...characters(text), ""] : text.split(old);
  const limit = times < 0 ? pieces.length : times;
  let written = pieces[0]!;
  for (let i = 1; i < pieces.length; i++) written += (i <= limit ? by : old) + pieces[i]!;
  return written;
}

function textItem(value: Value): string {
  const text = textOf(value);
  if (text === undefined) throw new PythonError(`expected a str, ${typeName(value)} found`);
  return text;
}

function needed(name: string, args: Arguments, parameters: readonly string[], optional: readonly string[] = []) {
  const bound = bind(name, args, [...parameters, ...optional]);
  const missing = parameters.find((_, i) => bound[i] === undefined);
  if (missing !== undefined) throw new PythonError(`${name}() is missing the argument '${missing}'`);
  return bound;
}

function textNeeded(name: string, args: Arguments): string {
  return textItem(needed(name, args, ["text"])[0]!);
}

function charsOf(name: string, args: Arguments): string | null {
  const [chars = null] = bind(name, args, ["chars"]);
  return chars === null ? null : textItem(chars);
}

/** What is looked for, and the part of the text between the positions `start` and `end` of the arguments. */
function window(name: string, text: string, args: Arguments) {
  const [part, start = null, end = null] = needed(name, args, ["sub"], ["start", "end"]);
  if (start === null && end === null) return { sought: part!, within: text, offset: 0 };
  const all = characters(text);
  const positions = [...slicePositions(all.length, start, end, null)];
  const offset = positions[0] ?? all.length;
  return { sought: part!, within: all.slice(offset, offset + positions.length).join(""), offset };
}

function find(name: string, text: string, args: Arguments, last: boolean): number {
  const { sought, within, offset } = window(name, text, args);
  const part = textItem(sought);
  const at = last ? within.lastIndexOf(part) : within.indexOf(part);
  return at === -1 ? -1 : codePointsBefore(within, at) + offset;
}

function found(position: number): number {
  if (position === -1) throw new PythonError("substring not found");
  return position;
}

function count({ sought, within }: { sought: Value; within: string }): number {
  const part = textItem(sought);
  return part === "" ? codePointLength(within) + 1 : within.split(part).length - 1;
}

function affix(name: string, text: string, args: Arguments, holds: (part: string, affix: string) => boolean): boolean {
  const { sought, within } = window(name, text, args);
  const candidates = sought instanceof Tuple ? sought.items : [sought];
  return candidates.some((candidate) => holds(within, textItem(candidate)));
}

function partition(name: string, text: string, args: Arguments, at: (part: string) => number, last = false): Tuple {
  const part = textNeeded(name, args);
  if (part === "") throw new PythonError("empty separator");
  const found = at(part);
  if (found === -1) return new Tuple(last ? ["", "", text] : [text, "", ""]);
  return new Tuple([text.slice(0, found), part, text.slice(found + part.length)]);
}

function splitFrom(name: "split" | "rsplit", text: string, args: Arguments): Value[] {
  const [separator = null, most] = bind(name, args, ["sep", "maxsplit"]);
  const limit = toInt(most, -1);
  if (separator === null) {
    if (name === "split" || limit < 0) return splitSpaces(text, limit);
    const reversed = splitSpaces(characters(text).toReversed().join(""), limit);
    return reversed.map((word) => characters(word).toReversed().join("")).toReversed();
  }
  const sep = textItem(separator);
  if (sep === "") throw new PythonError("empty separator");
  const pieces = text.split(sep);
  if (limit < 0 || pieces.length <= limit + 1) return pieces;
  if (name === "split") return [...pieces.slice(0, limit), pieces.slice(limit).join(sep)];
  const kept = pieces.length - limit;
  return [pieces.slice(0, kept).join(sep), ...pieces.slice(kept)];
}

function justify(name: "center" | "ljust" | "rjust", text: string, args: Arguments): string {
  const [width, fill = " "] = needed(name, args, ["width"], ["fillchar"]);
  const filler = textItem(fill);
  if (codePointLength(filler) !== 1) throw new PythonError("The fill character must be exactly one character long");
  const wanted = toInt(width, 0);
  const missing = wanted - codePointLength(text);
  if (missing <= 0) return text;
  if (name === "ljust") return text + repeatText(filler, missing);
  if (name === "rjust") return repeatText(filler, missing) + text;
  const before = Math.floor(missing / 2) + (missing & wanted & 1);
  return repeatText(filler, before) + text + repeatText(filler, missing - before);
}

function expandTabs(text: string, size: number): string {
  let column = 0;
  let written = "";
  for (const character of text) {
    if (character === "\t") {
      const spaces = size > 0 ? size - (column % size) : 0;
      written += repeatText(" ", spaces);
      column += spaces;
    } else {
      written += character;
      column = character === "\n" || character === "\r" ? 0 : column + 1;
    }
  }
  return written;
}

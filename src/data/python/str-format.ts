import { numberOf } from "./compare.ts";
import { floatText } from "./float.ts";
import { digitsOf, floatDigits, pad, signOf } from "./format-number.ts";
import { repr, str } from "./print.ts";
import { characters } from "./text.ts";
import { type Arguments, PythonError, Tuple, textOf, typeName, Undefined, type Value } from "./values.ts";

/** How a field's `.name` or `[key]` is looked up. */
export type Lookup = (value: Value, key: Value, isAttribute: boolean) => Value;

/** `text.format(…)`: fields such as `{}`, `{0.name!r}`, `{x:>8.2f}`. */
export function strFormat(text: string, { positional, named }: Arguments, lookup: Lookup): string {
  let next = 0;
  const field = (source: string): string => {
    const [, path, conversion, spec] = /^([^!:]*(?:\[[^\]]*\][^!:]*)*)(?:!([rsa]))?(?::([\s\S]*))?$/.exec(source) ?? [];
    if (path === undefined) throw new PythonError(`the format field {${source}} is not understood`);
    const [, first, rest] = /^([^.[]*)([\s\S]*)$/.exec(path)!;
    let value: Value | undefined;
    if (first === "") value = positional[next++];
    else if (/^\d+$/.test(first!)) value = positional[Number(first)];
    else value = named.get(first!);
    if (value === undefined) throw new PythonError(`no argument for the format field {${source}}`);
    for (const [, attribute, item] of rest!.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
      const key = item !== undefined && /^\d+$/.test(item) ? BigInt(item) : (item ?? attribute!);
      value = lookup(value, key, attribute !== undefined);
    }
    if (conversion !== undefined) value = conversion === "s" ? str(value) : repr(value);
    const expanded = (spec ?? "").replace(/\{([^{}]*)\}/g, (_, inner: string) => field(inner));
    return formatSpec(value, expanded);
  };
  return text.replace(/\{\{|\}\}|\{((?:[^{}]|\{[^{}]*\})*)\}|[{}]/g, (whole, source: string | undefined) => {
    if (whole === "{{" || whole === "}}") return whole[0]!;
    if (source === undefined) throw new PythonError(`Single '${whole}' encountered in format string`);
    return field(source);
  });
}

const SPEC = /^(?:([\s\S])?([<>=^]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u;

function formatSpec(value: Value, spec: string): string {
  if (spec === "") return str(value);
  const match = SPEC.exec(spec);
  if (match === null) throw new PythonError(`Invalid format specifier '${spec}'`);
  const [, filler, align, sign = "-", alternate, zero, widthText, grouping, places, kind] = match;
  const width = Number(widthText ?? 0);
  const precision = places === undefined ? undefined : Number(places);
  const fill = filler ?? (zero === undefined ? " " : "0");
  const text = textOf(value);
  if (text !== undefined) {
    if (kind !== undefined && kind !== "s")
      throw new PythonError(`Unknown format code '${kind}' for object of type 'str'`);
    const shown = precision === undefined ? text : characters(text).slice(0, precision).join("");
    return pad("", shown, width, fill, align ?? "<");
  }
  const number = numberOf(value);
  if (number === undefined) {
    if (value instanceof Undefined) return pad("", "", width, fill, align ?? "<");
    const type = value instanceof Tuple ? "tuple" : typeName(value);
    throw new PythonError(`unsupported format string passed to ${type}.__format__`);
  }
  checkPresentation(number, kind, precision);
  let digits: string;
  if (kind === "%") digits = `${digitsOf(Number(number) * 100, "f", precision, false)}%`;
  else if (kind === undefined && typeof number === "number") {
    digits = precision === undefined ? floatText(Math.abs(number)) : floatDigits(Math.abs(number), precision);
  } else if (kind === "c") digits = String.fromCodePoint(Number(number));
  else
    digits = digitsOf(
      number,
      kind === undefined || kind === "n" ? (typeof number === "bigint" ? "d" : "g") : kind,
      precision,
      alternate === "#",
    );
  if (grouping !== undefined) digits = digits.replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, grouping);
  return pad(signOf(number, sign), digits, width, fill, align ?? (zero === undefined ? ">" : "="));
}

function checkPresentation(number: bigint | number, kind: string | undefined, precision: number | undefined): void {
  const isInt = typeof number === "bigint";
  if (kind !== undefined && !(isInt ? /[bcdoxXneEfFgG%]/ : /[neEfFgG%]/).test(kind)) {
    throw new PythonError(`Unknown format code '${kind}' for object of type '${isInt ? "int" : "float"}'`);
  }
  if (isInt && precision !== undefined && (kind === undefined || /[bcdoxXn]/.test(kind))) {
    throw new PythonError("Precision not allowed in integer format specifier");
  }
}

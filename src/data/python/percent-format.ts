import { digitsOf, numberFor, pad, signOf } from "./format-number.ts";
import { repr, str } from "./print.ts";
import { repeatText } from "./size.ts";
import { characters } from "./text.ts";
import { Dict, PythonError, Tuple, textOf, Undefined, type Value } from "./values.ts";

const CONVERSION = /%(?:\(([^)]*)\))?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?([\s\S])?/g;

/** `template % value`, as Python formats: `%s`, `%-5d`, `%(name).2f` and the others. */
export function percentFormat(template: string, value: Value): string {
  const list = value instanceof Tuple ? value.items : [value];
  let next = 0;
  const take = () => {
    if (next >= list.length) throw new PythonError("not enough arguments for format string");
    return list[next++]!;
  };
  const written = template.replace(
    CONVERSION,
    (source, name: string | undefined, flags: string, width?: string, places?: string, kind?: string) => {
      if (kind === "%" && source === "%%") return "%";
      if (kind === undefined) throw new PythonError("incomplete format");
      let fieldWidth = width === "*" ? Number(take()) : Number(width ?? 0);
      const left = flags.includes("-") || fieldWidth < 0;
      fieldWidth = Math.abs(fieldWidth);
      const precision = places === undefined ? undefined : places === "*" ? Number(take()) : Number(places);
      const argument = name === undefined ? take() : named(value, name);
      const align = left ? "<" : ">";
      if (kind === "s" || kind === "r" || kind === "a") {
        const text = kind === "s" ? str(argument) : repr(argument);
        const shown = precision === undefined ? text : characters(text).slice(0, precision).join("");
        return pad("", shown, fieldWidth, " ", align);
      }
      if (kind === "c") return pad("", character(argument), fieldWidth, " ", align);
      const presentation = kind === "i" || kind === "u" ? "d" : kind;
      if (!/[dxXoeEfFgG]/.test(presentation)) throw new PythonError(`unsupported format character '${kind}'`);
      const given = numberFor(kind, argument);
      const number = presentation === "d" && typeof given === "number" ? whole(given) : given;
      if (/[xXo]/.test(kind) && typeof number !== "bigint") {
        throw new PythonError(`%${kind} format: an integer is required, not float`);
      }
      let digits = digitsOf(number, presentation, precision, flags.includes("#"));
      if (presentation === "d" && precision !== undefined) digits = repeatText("0", precision - digits.length) + digits;
      const sign = signOf(number, flags.includes("+") ? "+" : flags.includes(" ") ? " " : "-");
      const zeros = flags.includes("0") && !left;
      return pad(sign, digits, fieldWidth, zeros ? "0" : " ", zeros ? "=" : align);
    },
  );
  if (
    next < list.length &&
    !(value instanceof Dict || value instanceof Undefined || (value instanceof Tuple && list.length === 0))
  ) {
    if (value instanceof Tuple || !Array.isArray(value)) {
      throw new PythonError("not all arguments converted during string formatting");
    }
  }
  return written;
}

function named(value: Value, name: string): Value {
  if (!(value instanceof Dict)) throw new PythonError("format requires a mapping");
  const found = value.get(name);
  if (found === undefined) throw new PythonError(`KeyError: ${repr(name)}`);
  return found;
}

function character(value: Value): string {
  if (typeof value === "bigint") return String.fromCodePoint(Number(value));
  const text = textOf(value);
  if (text === undefined || characters(text).length !== 1) throw new PythonError("%c requires int or char");
  return text;
}

function whole(value: number): bigint {
  if (!Number.isFinite(value)) throw new PythonError("cannot convert float infinity or NaN to integer");
  return BigInt(Math.trunc(value));
}

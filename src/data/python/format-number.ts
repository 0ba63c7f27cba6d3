import { numberOf } from "./compare.ts";
import { floatText } from "./float.ts";
import { repeatText } from "./size.ts";
import { codePointLength } from "./text.ts";
import { PythonError, typeName, type Value } from "./values.ts";

/** A number in one of Python's presentations (d, x, o, b, e, f, g and their capitals), without its sign. */
export function digitsOf(
  value: bigint | number,
  kind: string,
  precision: number | undefined,
  alternate: boolean,
): string {
  const lower = kind.toLowerCase();
  const upper = (text: string) => (kind === lower ? text : text.toUpperCase());
  const prefix = alternate ? { x: "0x", o: "0o", b: "0b" }[lower] : undefined;
  if (lower === "d") return magnitude(value).toString();
  if (lower === "x" || lower === "o" || lower === "b") {
    return upper((prefix ?? "") + magnitude(value).toString({ x: 16, o: 8, b: 2 }[lower]));
  }
  const number = Math.abs(Number(value));
  if (!Number.isFinite(number)) return upper(floatText(number));
  const places = precision ?? 6;
  if (lower === "f") return fixed(number, places);
  if (lower === "e") return upper(exponential(number, places));
  return upper(general(number, places === 0 ? 1 : places, alternate));
}

/** The sign that goes before a number's digits. */
export function signOf(value: bigint | number, shown: string): string {
  const negative = typeof value === "bigint" ? value < 0n : value < 0 || Object.is(value, -0);
  return negative ? "-" : shown === "-" ? "" : shown;
}

function magnitude(value: bigint | number): bigint {
  const whole = typeof value === "bigint" ? value : BigInt(Math.trunc(value));
  return whole < 0n ? -whole : whole;
}

/** Exact decimal digits of a float, rounded half to even on its true value, as C does it. */
export function fixed(number: number, places: number): string {
  // toFixed works on the true value, up to 100 places and below 1e21; it rounds exact halves up, C to even.
  if (places > 100) return fixed(number, 100) + repeatText("0", places - 100);
  if (number >= 1e21) {
    const whole = BigInt(number).toString();
    return places > 0 ? `${whole}.${repeatText("0", places)}` : whole;
  }
  const text = number.toFixed(places);
  if (places > 22) return text;
  const scaled = number * 10 ** places;
  const isHalf = scaled - Math.floor(scaled) === 0.5 && Number.isInteger(number * 2 ** 22) && exactHalf(number, places);
  if (!isHalf || Math.floor(scaled) % 2 !== 0) return text;
  return (Math.floor(scaled) / 10 ** places).toFixed(places);
}

/** Whether a number lies exactly between two decimals of so many places. */
function exactHalf(number: number, places: number): boolean {
  return /^50*$/.test(
    number
      .toFixed(Math.min(100, places + 60))
      .split(".")[1]!
      .slice(places),
  );
}

function exponential(number: number, places: number): string {
  const [mantissa, power] = number.toExponential(Math.min(places, 100)).split("e") as [string, string];
  return `${mantissa}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

/** So many significant digits of a float as `str` would show it: with a point, or an exponent. */
export function floatDigits(number: number, precision: number): string {
  if (!Number.isFinite(number)) return floatText(number);
  const places = Math.max(1, precision);
  const text = general(number, places, false, places - 1);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** @param most from which exponent on it is written. */
function general(number: number, places: number, alternate: boolean, most = places): string {
  const shown = exponential(number, places - 1);
  const exponent = Number(shown.split("e")[1]);
  const trim = (text: string) => (alternate || !text.includes(".") ? text : text.replace(/\.?0+$/, ""));
  if (exponent < -4 || exponent >= most) {
    const [mantissa, power] = shown.split("e") as [string, string];
    return `${trim(mantissa)}e${power}`;
  }
  return trim(fixed(number, places - 1 - exponent));
}

/** A value that must be a number, for a presentation that takes numbers alone. */
export function numberFor(kind: string, value: Value): bigint | number {
  const number = numberOf(value);
  if (number === undefined) throw new PythonError(`%${kind} format: a number is required, not ${typeName(value)}`);
  return number;
}

/** Fills text to a width in characters; `=` fills between sign and digits. */
export function pad(sign: string, body: string, width: number, fill: string, align: string): string {
  const missing = width - codePointLength(sign + body);
  if (missing <= 0) return sign + body;
  if (align === "<") return sign + body + repeatText(fill, missing);
  if (align === "=") return sign + repeatText(fill, missing) + body;
  if (align === "^") {
    const before = Math.floor(missing / 2);
    return repeatText(fill, before) + sign + body + repeatText(fill, missing - before);
  }
  return repeatText(fill, missing) + sign + body;
}

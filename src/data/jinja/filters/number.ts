import { bind, toInt } from "../../python/arguments.ts";
import { calculate } from "../../python/arithmetic.ts";
import { numberOf } from "../../python/compare.ts";
import { fixed } from "../../python/format-number.ts";
import { iterate } from "../../python/sequence.ts";
import { strip } from "../../python/text.ts";
import { PythonError, textOf, typeName, Undefined, type Value } from "../../python/values.ts";
import { attributeGetter, type Filter } from "./filter.ts";

/** Python reads, and writes, no int of more. */
const MOST_DIGITS = 4300;

/** Filters that make numbers. */
export const numberFilters: Readonly<Record<string, Filter>> = {
  abs: (value) => {
    const number = numberOf(value);
    if (number !== undefined) return typeof number === "bigint" ? (number < 0n ? -number : number) : Math.abs(number);
    if (value instanceof Undefined) value.fail();
    throw new PythonError(`bad operand type for abs(): '${typeName(value)}'`);
  },
  float: (value, args) => {
    const [otherwise = 0] = bind("float", args, ["default"]);
    return toFloat(value) ?? otherwise;
  },
  int: (value, args) => {
    const [otherwise = 0n, base] = bind("int", args, ["default", "base"]);
    const whole = toWhole(value, toInt(base, 10));
    if (whole !== undefined) return whole;
    const float = toFloat(value);
    return float === undefined || !Number.isFinite(float) ? otherwise : BigInt(Math.trunc(float));
  },
  round: (value, args) => {
    const [precision, method = "common"] = bind("round", args, ["precision", "method"]);
    if (method !== "common" && method !== "ceil" && method !== "floor") {
      throw new PythonError("method must be common, ceil or floor");
    }
    const number = numberOf(value);
    if (number === undefined) throw new PythonError(`type ${typeName(value)} doesn't define __round__ method`);
    const places = toInt(precision, 0);
    if (method === "common") return round(number, places);
    const scale = 10 ** places;
    return Math[method](Number(number) * scale) / scale;
  },
  sum: (value, args) => {
    const [attribute, start = 0n] = bind("sum", args, ["attribute", "start"]);
    let total: Value = start;
    const get = attributeGetter(attribute);
    for (const item of iterate(value)) total = calculate("+", total, get(item));
    return total;
  },
};

/** Python's `round`: to the nearest, halves to the even; an int stays one. */
function round(number: bigint | number, places: number): bigint | number {
  if (typeof number === "bigint" && places >= 0) return number;
  if (typeof number === "number" && !Number.isFinite(number)) return number;
  if (places >= 0) return Math.sign(Number(number)) * Number(fixed(Math.abs(Number(number)), places));
  if (typeof number === "bigint") return places < -MOST_DIGITS ? 0n : roundInt(number, 10n ** BigInt(-places));
  const unit = 10 ** -places;
  return Number(fixed(Math.abs(number) / unit, 0)) * unit * (number < 0 ? -1 : 1);
}

/** An int to the nearest multiple, halves to the even one. */
function roundInt(number: bigint, unit: bigint): bigint {
  const rest = ((number % unit) + unit) % unit;
  const below = number - rest;
  const isUp = 2n * rest > unit || (2n * rest === unit && (below / unit) % 2n !== 0n);
  return isUp ? below + unit : below;
}

function toWhole(value: Value, base: number): bigint | undefined {
  const text = textOf(value);
  if (text === undefined) {
    const number = numberOf(value);
    if (number === undefined || (typeof number === "number" && !Number.isFinite(number))) return undefined;
    return typeof number === "bigint" ? number : BigInt(Math.trunc(number));
  }
  const prefix = { 2: "0b", 8: "0o", 16: "0x" }[base] ?? "";
  const match = /^([+-]?)(0[box])?([\da-z]+(?:_[\da-z]+)*)$/.exec(asciiDigits(strip(text)).toLowerCase());
  if (match === null || (match[2] !== undefined && match[2] !== prefix)) return undefined;
  if (match[3]!.length > MOST_DIGITS) return undefined;
  let whole = 0n;
  for (const digit of match[3]!.replaceAll("_", "")) {
    const worth = Number.parseInt(digit, 36);
    if (worth >= base) return undefined;
    whole = whole * BigInt(base) + BigInt(worth);
  }
  return match[1] === "-" ? -whole : whole;
}

function toFloat(value: Value): number | undefined {
  const number = numberOf(value);
  if (number !== undefined) return Number(number);
  if (value instanceof Undefined) value.fail();
  const text = textOf(value);
  if (text === undefined) return undefined;
  const written = asciiDigits(strip(text))
    .toLowerCase()
    .replace(/(?<=\d)_(?=\d)/g, "");
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(written)) return Number(written);
  const special = /^([+-]?)(?:(inf(?:inity)?)|nan)$/.exec(written);
  if (special === null) return undefined;
  return special[2] === undefined ? Number.NaN : special[1] === "-" ? -Infinity : Infinity;
}

/** Decimal digits of all scripts as 0 to 9. */
function asciiDigits(text: string): string {
  return text.replace(/(?![0-9])\p{Nd}/gu, (digit) => {
    const point = digit.codePointAt(0)!;
    // The digits of a script stand in one run, which begins with its zero.
    let zero = point;
    while (zero > point - 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero--;
    return String((point - zero) % 10);
  });
}
